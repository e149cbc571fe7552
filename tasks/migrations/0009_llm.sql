-- Calls of language models: what they cost, what they may cost, what they changed.

-- Money is in micro-dollars' precision; a price of 0.0005 per thousand tokens must not vanish.
CREATE DOMAIN usd AS numeric(14, 8) CHECK (VALUE >= 0);

-- A call that was paid is one row, however often its message comes: request_key names it.
CREATE TABLE llm_usage (
  id                uuid PRIMARY KEY,
  request_key       varchar(255) NOT NULL UNIQUE CHECK (request_key <> ''),  -- task id and number of the call in it
  tenant            varchar(100) NOT NULL DEFAULT 'default' CHECK (tenant <> ''),
  user_id           uuid REFERENCES users (id) ON DELETE SET NULL,
  invoice_id        uuid REFERENCES invoices (id) ON DELETE SET NULL,
  task_id           varchar(255),
  provider          varchar(50) NOT NULL,
  model             varchar(200) NOT NULL,
  operation         varchar(50) NOT NULL,                                    -- "patch_fields", "text_analysis", ...
  status            varchar(20) NOT NULL CHECK (status IN ('succeeded', 'cached', 'refused', 'failed')),
  error_code        varchar(100),
  prompt_tokens     integer NOT NULL DEFAULT 0 CHECK (prompt_tokens >= 0),
  completion_tokens integer NOT NULL DEFAULT 0 CHECK (completion_tokens >= 0),
  total_tokens      integer GENERATED ALWAYS AS (prompt_tokens + completion_tokens) STORED,
  cost              usd NOT NULL DEFAULT 0,
  attempts          integer NOT NULL DEFAULT 1 CHECK (attempts >= 0),
  latency_ms        integer CHECK (latency_ms >= 0),
  created_at        timestamptz NOT NULL DEFAULT now(),
  CHECK ((status IN ('refused', 'failed')) = (error_code IS NOT NULL)),
  CHECK (status <> 'cached' OR cost = 0)
);
CREATE INDEX llm_usage_time ON llm_usage (tenant, created_at DESC) INCLUDE (prompt_tokens, completion_tokens, cost);
CREATE INDEX llm_usage_model ON llm_usage (model, created_at DESC);
CREATE INDEX llm_usage_invoice ON llm_usage (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX llm_usage_user ON llm_usage (user_id, created_at DESC) WHERE user_id IS NOT NULL;

CREATE TYPE llmperiod AS ENUM ('MINUTE', 'DAY', 'MONTH');

-- Caps. '*' stands for every tenant or model; a missing limit is none.
CREATE TABLE llm_budgets (
  id           uuid PRIMARY KEY,
  tenant       varchar(100) NOT NULL DEFAULT '*' CHECK (tenant <> ''),
  model        varchar(200) NOT NULL DEFAULT '*' CHECK (model <> ''),
  period       llmperiod NOT NULL,
  max_requests bigint CHECK (max_requests >= 0),
  max_tokens   bigint CHECK (max_tokens >= 0),
  max_cost     usd,
  alert_at     integer[] NOT NULL DEFAULT '{50,80,95}',                      -- per cent
  is_active    boolean NOT NULL DEFAULT true,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant, model, period),
  CHECK (max_requests IS NOT NULL OR max_tokens IS NOT NULL OR max_cost IS NOT NULL)
);

-- What is used and held back of a budget in one period. Reserving locks this row, so no number of
-- workers can pass the cap together.
CREATE TABLE llm_budget_periods (
  budget_id         uuid NOT NULL REFERENCES llm_budgets (id) ON DELETE CASCADE,
  period_start      timestamptz NOT NULL,
  used_requests     bigint NOT NULL DEFAULT 0 CHECK (used_requests >= 0),
  used_tokens       bigint NOT NULL DEFAULT 0 CHECK (used_tokens >= 0),
  used_cost         usd NOT NULL DEFAULT 0,
  reserved_requests bigint NOT NULL DEFAULT 0 CHECK (reserved_requests >= 0),
  reserved_tokens   bigint NOT NULL DEFAULT 0 CHECK (reserved_tokens >= 0),
  reserved_cost     usd NOT NULL DEFAULT 0,
  alerted_at        integer NOT NULL DEFAULT 0 CHECK (alerted_at BETWEEN 0 AND 100),
  PRIMARY KEY (budget_id, period_start)
);

-- Before a call; gone with its settlement. One that outlives its call is given back after expires_at.
CREATE TABLE llm_reservations (
  id           uuid PRIMARY KEY,
  request_key  varchar(255) NOT NULL,
  budget_id    uuid NOT NULL,
  period_start timestamptz NOT NULL,
  requests     bigint NOT NULL DEFAULT 1 CHECK (requests >= 0),
  tokens       bigint NOT NULL CHECK (tokens >= 0),
  cost         usd NOT NULL,
  expires_at   timestamptz NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE (request_key, budget_id),
  FOREIGN KEY (budget_id, period_start) REFERENCES llm_budget_periods (budget_id, period_start) ON DELETE CASCADE
);
CREATE INDEX llm_reservations_expiry ON llm_reservations (expires_at);

-- Answers by content: the same question to the same model.
CREATE TABLE llm_cache (
  cache_key         char(64) PRIMARY KEY CHECK (cache_key ~ '^[0-9a-f]{64}$'),
  model             varchar(200) NOT NULL,
  operation         varchar(50) NOT NULL,
  response          jsonb NOT NULL,
  prompt_tokens     integer NOT NULL CHECK (prompt_tokens >= 0),
  completion_tokens integer NOT NULL CHECK (completion_tokens >= 0),
  hits              bigint NOT NULL DEFAULT 0 CHECK (hits >= 0),
  created_at        timestamptz NOT NULL DEFAULT now(),
  expires_at        timestamptz NOT NULL
);
CREATE INDEX llm_cache_expiry ON llm_cache (expires_at);

-- Which field a model changed, from what to what: nothing a model says is taken for what the document says.
CREATE TABLE llm_patches (
  id             uuid PRIMARY KEY,
  invoice_id     uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  usage_id       uuid REFERENCES llm_usage (id) ON DELETE SET NULL,
  field          varchar(100) NOT NULL CHECK (field <> ''),
  line_number    integer NOT NULL DEFAULT 0 CHECK (line_number >= 0),
  old_value      text,
  old_confidence confidence,
  new_value      text NOT NULL,
  new_confidence confidence,
  model          varchar(200) NOT NULL,
  accepted       boolean NOT NULL,
  refusal        varchar(100),
  created_at     timestamptz NOT NULL DEFAULT now(),
  UNIQUE (usage_id, field, line_number),
  CHECK (accepted = (refusal IS NULL))
);
CREATE INDEX llm_patches_invoice ON llm_patches (invoice_id, created_at DESC);

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON llm_budgets FOR EACH ROW EXECUTE FUNCTION audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON llm_patches FOR EACH ROW EXECUTE FUNCTION audit_row();
