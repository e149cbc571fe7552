-- Documents, the jobs that read them, and the invoices found in them.
--
-- Money is exact: `amount` keeps every digit a document states (up to six places) and
-- refuses NaN, infinity and sizes no invoice has. Identifiers are made by the application.

CREATE DOMAIN amount AS numeric
  CHECK (abs(VALUE) < 100000000000000 AND scale(VALUE) <= 6);

CREATE DOMAIN confidence AS numeric(3, 2)
  CHECK (VALUE BETWEEN 0 AND 1);

CREATE TYPE processing_job_status AS ENUM ('pending', 'running', 'completed', 'failed');

CREATE TYPE invoicestatus AS ENUM
  ('RECEIVED', 'PARSED', 'VALIDATED', 'EXCEPTION', 'READY', 'STAGED', 'DONE');

-- One row per distinct content: file_hash is what makes a second upload the same document.
CREATE TABLE file_storage (
  id                uuid PRIMARY KEY,
  user_id           uuid,
  file_name         varchar(500) NOT NULL CHECK (file_name <> ''),
  file_size         bigint NOT NULL CHECK (file_size > 0),
  mime_type         varchar(100) NOT NULL,
  blob_url          text NOT NULL,
  blob_path         text NOT NULL,
  file_hash         char(64) NOT NULL UNIQUE CHECK (file_hash ~ '^[0-9a-f]{64}$'),
  upload_source     varchar(50) NOT NULL DEFAULT 'task',
  processing_status varchar(50) NOT NULL DEFAULT 'uploaded'
                    CHECK (processing_status IN ('uploaded', 'processing', 'processed', 'failed')),
  created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX file_storage_created_at ON file_storage (created_at DESC);

-- One row per processing: a redelivered or retried task finds its row by task_id.
CREATE TABLE processing_jobs (
  id               uuid PRIMARY KEY,
  user_id          uuid,
  file_storage_id  uuid REFERENCES file_storage (id),
  job_type         varchar(50) NOT NULL DEFAULT 'invoice_extraction',
  task_id          varchar(255) UNIQUE,
  status           processing_job_status NOT NULL DEFAULT 'pending',
  progress         integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
  current_stage    varchar(50) NOT NULL DEFAULT 'queued',
  source           text,
  result_data      jsonb,
  confidence_score confidence,
  error_code       varchar(100),
  error_message    text,
  attempts         integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  lost_runs        integer NOT NULL DEFAULT 0 CHECK (lost_runs >= 0),  -- ended without a word: killed, crashed
  worker           varchar(255),
  auto_save        boolean NOT NULL DEFAULT true,
  cleanup          boolean NOT NULL DEFAULT false,
  viewed_at        timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  started_at       timestamptz,
  updated_at       timestamptz NOT NULL DEFAULT now(),
  completed_at     timestamptz,
  timings          jsonb NOT NULL DEFAULT '{}',                        -- stage -> milliseconds
  CHECK ((status IN ('completed', 'failed')) = (completed_at IS NOT NULL)),
  CHECK ((status = 'failed') = (error_code IS NOT NULL)),
  CHECK (status <> 'completed' OR (progress = 100 AND result_data IS NOT NULL AND file_storage_id IS NOT NULL)),
  CHECK (status <> 'running' OR (started_at IS NOT NULL AND attempts > 0))
);
CREATE INDEX processing_jobs_file ON processing_jobs (file_storage_id);
CREATE INDEX processing_jobs_status ON processing_jobs (status, created_at DESC);
CREATE INDEX processing_jobs_created_at ON processing_jobs (created_at DESC);

CREATE TABLE invoices (
  id                  uuid PRIMARY KEY,
  uploaded_by_user_id uuid,
  file_storage_id     uuid REFERENCES file_storage (id),
  invoice_number      varchar(100),
  invoice_date        date,
  due_date            date,
  ship_date           date,
  customer_id         uuid,
  salesperson_id      uuid,
  territory_id        integer,
  vendor_id           uuid,
  vendor_name         varchar(200),
  vendor_tax_id       varchar(50),
  buyer_name          varchar(200),
  account_number      varchar(100),
  po_number           varchar(100),
  currency            char(3) CHECK (currency ~ '^[A-Z]{3}$'),
  subtotal            amount,
  tax_rate            numeric(5, 4),
  tax_amount          amount,
  freight             amount,
  total_amount        amount,
  order_status        integer NOT NULL DEFAULT 5,
  payment_status      varchar(50) NOT NULL DEFAULT 'unpaid',
  document_type       varchar(20) NOT NULL DEFAULT 'invoice'
                      CHECK (document_type IN ('invoice', 'credit_note', 'other')),
  confidence_score    confidence,
  requires_review     boolean NOT NULL DEFAULT false,
  processed_by_llm    boolean NOT NULL DEFAULT false,
  original_filename   varchar(500),
  file_url            text,
  file_hash           char(64) UNIQUE,                                 -- one invoice per document
  file_name           varchar(255) CHECK (file_name <> ''),
  file_size           varchar(20) CHECK (file_size <> ''),
  status              invoicestatus NOT NULL DEFAULT 'RECEIVED',
  workflow_state      varchar(50),
  workflow_data       json,
  validation_task_id  uuid,                                            -- the follow-up's id, fixed beforehand
  validation_sent_at  timestamptz,                                     -- null until the broker has it
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  CHECK (file_hash IS NULL OR file_storage_id IS NOT NULL),
  CHECK (validation_sent_at IS NULL OR validation_task_id IS NOT NULL)
);
CREATE UNIQUE INDEX invoices_file ON invoices (file_storage_id);
CREATE INDEX invoices_number ON invoices (invoice_number);
CREATE INDEX invoices_vendor_status ON invoices (vendor_id, status);
CREATE INDEX invoices_created_status ON invoices (created_at DESC, status);
CREATE INDEX invoices_workflow_status ON invoices (workflow_state, status);
CREATE INDEX invoices_unsent ON invoices (created_at) WHERE validation_sent_at IS NULL;

CREATE TABLE invoice_line_items (
  id                  uuid PRIMARY KEY,
  invoice_id          uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  line_number         integer NOT NULL CHECK (line_number > 0),
  product_id          uuid,
  item_number         varchar(100),
  description         text,
  quantity            amount,
  unit_of_measure     varchar(50),
  unit_price          amount,
  unit_price_discount amount,
  tax_rate            numeric(7, 4),                                   -- per cent
  line_total          amount,
  confidence_score    confidence,
  matched_by_embedding boolean NOT NULL DEFAULT false,
  created_at          timestamptz NOT NULL DEFAULT now(),
  UNIQUE (invoice_id, line_number)
);

-- What the reader saw, field by field with its confidence; the newest one counts.
CREATE TABLE invoice_extractions (
  id                 uuid PRIMARY KEY,
  invoice_id         uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  header_json        json NOT NULL,
  lines_json         json NOT NULL,
  confidence_json    json NOT NULL,
  parser_version     varchar(50) NOT NULL,
  processing_time_ms varchar(20),
  page_count         varchar(20),
  created_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invoice_extractions_newest ON invoice_extractions (invoice_id, created_at DESC);

-- One row per judged state of an invoice: the same data under the same rules is judged once.
CREATE TABLE validations (
  id                 uuid PRIMARY KEY,
  invoice_id         uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  passed             boolean NOT NULL,
  checks_json        json NOT NULL,
  rules_version      varchar(20) NOT NULL,
  validator_version  varchar(20) NOT NULL,
  processing_time_ms varchar(20),
  input_digest       char(64) NOT NULL,
  error_count        integer NOT NULL CHECK (error_count >= 0),
  warning_count      integer NOT NULL CHECK (warning_count >= 0),
  created_at         timestamptz NOT NULL DEFAULT now(),
  UNIQUE (invoice_id, rules_version, input_digest),
  CHECK (passed = (error_count = 0))
);
CREATE INDEX validations_passed ON validations (passed, created_at DESC);

-- The rules one by one, those that held included.
CREATE TABLE invoice_validations (
  id            uuid PRIMARY KEY,
  validation_id uuid NOT NULL REFERENCES validations (id) ON DELETE CASCADE,
  invoice_id    uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  sequence      integer NOT NULL CHECK (sequence > 0),
  rule_code     varchar(50) NOT NULL CHECK (rule_code <> ''),
  severity      varchar(10) NOT NULL CHECK (severity IN ('error', 'warning', 'info')),
  passed        boolean NOT NULL,
  field         varchar(100),
  line_number   integer,
  expected      text,
  actual        text,
  message       text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (validation_id, sequence)
);
CREATE INDEX invoice_validations_failed ON invoice_validations (rule_code) WHERE NOT passed;
CREATE INDEX invoice_validations_invoice ON invoice_validations (invoice_id);

-- Written in the transaction of the change it tells of.
CREATE TABLE audit_log (
  id         uuid PRIMARY KEY,
  user_id    uuid,
  changed_by varchar(255) NOT NULL DEFAULT 'system',
  table_name varchar(100) NOT NULL,
  record_id  uuid NOT NULL,
  action     varchar(20) NOT NULL CHECK (action IN ('CREATE', 'UPDATE', 'DELETE')),
  old_values jsonb,
  new_values jsonb,
  reason     text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_log_record ON audit_log (table_name, record_id, created_at);
