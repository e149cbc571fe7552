-- What the tasks of two other systems keep: connections to QuickBooks, service levels, reports.

CREATE TYPE quickbooksstatus AS ENUM ('PENDING', 'CONNECTED', 'DISCONNECTED', 'ERROR', 'EXPIRED');
CREATE TABLE quickbooks_connections (
  id               uuid PRIMARY KEY,
  user_id          varchar(255) NOT NULL CHECK (user_id <> ''),              -- as messages name people
  realm_id         varchar(50) NOT NULL CHECK (realm_id ~ '^[0-9]+$'),       -- the company there
  status           quickbooksstatus NOT NULL DEFAULT 'PENDING',
  environment      varchar(20) NOT NULL DEFAULT 'sandbox' CHECK (environment IN ('sandbox', 'production')),
  access_token     text,
  refresh_token    text,
  token_expires_at timestamptz,
  expense_account  varchar(50),                                              -- its id there; found by the first bill
  error_message    text,
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, realm_id),
  CHECK (status <> 'CONNECTED' OR refresh_token IS NOT NULL)
);
CREATE INDEX quickbooks_connections_ending ON quickbooks_connections (token_expires_at) WHERE status = 'CONNECTED';

-- One bill for an invoice in a company: request_id makes a repeated request the same bill there too.
CREATE TABLE quickbooks_exports (
  id                 uuid PRIMARY KEY,
  connection_id      uuid NOT NULL REFERENCES quickbooks_connections (id) ON DELETE CASCADE,
  invoice_id         uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  status             varchar(20) NOT NULL DEFAULT 'processing' CHECK (status IN ('processing', 'success', 'failed')),
  request_id         uuid NOT NULL UNIQUE,
  bill_id            varchar(50),
  error_message      text,
  processing_time_ms integer CHECK (processing_time_ms >= 0),
  remote_operation   varchar(20),                                            -- the last one a webhook told of
  task_id            varchar(255),
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now(),
  UNIQUE (connection_id, invoice_id),
  CHECK ((status = 'success') = (bill_id IS NOT NULL)),
  CHECK (status <> 'failed' OR error_message IS NOT NULL)
);
CREATE INDEX quickbooks_exports_bill ON quickbooks_exports (bill_id) WHERE bill_id IS NOT NULL;
CREATE INDEX quickbooks_exports_invoice ON quickbooks_exports (invoice_id);

CREATE TABLE slo_definitions (
  id           uuid PRIMARY KEY,
  name         varchar(100) NOT NULL UNIQUE CHECK (name <> ''),
  description  text NOT NULL,
  target       numeric(5, 2) NOT NULL CHECK (target > 0 AND target < 100),   -- per cent
  period       varchar(20) NOT NULL DEFAULT 'daily' CHECK (period IN ('hourly', 'daily', 'weekly')),
  burn_warning numeric(6, 2) NOT NULL DEFAULT 1.5 CHECK (burn_warning > 0),  -- times the budget
  burn_critical numeric(6, 2) NOT NULL DEFAULT 2.0 CHECK (burn_critical > 0),
  is_active    boolean NOT NULL DEFAULT true,
  created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE sli_measurements (
  id           uuid PRIMARY KEY,
  slo_id       uuid NOT NULL REFERENCES slo_definitions (id) ON DELETE CASCADE,
  period       varchar(20) NOT NULL,
  period_start timestamptz NOT NULL,
  period_end   timestamptz NOT NULL,
  good         bigint NOT NULL CHECK (good >= 0),
  total        bigint NOT NULL CHECK (total > 0),                            -- nothing to measure is no measurement
  value        numeric(5, 2) GENERATED ALWAYS AS (round(100.0 * good / total, 2)) STORED,
  measured_at  timestamptz NOT NULL DEFAULT now(),
  UNIQUE (slo_id, period, period_start, period_end),
  CHECK (good <= total AND period_start < period_end)
);
CREATE INDEX sli_measurements_time ON sli_measurements (period_end DESC);
CREATE TABLE slo_alerts (
  id             uuid PRIMARY KEY,
  slo_id         uuid NOT NULL REFERENCES slo_definitions (id) ON DELETE CASCADE,
  measurement_id uuid NOT NULL UNIQUE REFERENCES sli_measurements (id) ON DELETE CASCADE,
  severity       varchar(10) NOT NULL CHECK (severity IN ('warning', 'critical')),
  burn_rate      numeric(8, 2) NOT NULL,
  message        text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE weekly_reports (
  id           uuid PRIMARY KEY,
  week_start   date NOT NULL UNIQUE CHECK (extract(isodow FROM week_start) = 1),
  content      jsonb NOT NULL,
  file_path    text NOT NULL,
  generated_by varchar(255),
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now()
);
-- Reports that another front end orders: it inserts the row, a task makes the file.
CREATE TABLE reports (
  id            uuid PRIMARY KEY,
  report_type   varchar(20) NOT NULL CHECK (report_type IN ('financial', 'sales', 'custom')),
  parameters    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(parameters) = 'object'),
  status        varchar(20) NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed', 'failed')),
  file_path     text,
  error_message text,
  user_id       uuid REFERENCES users (id) ON DELETE SET NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  completed_at  timestamptz,
  CHECK (status <> 'completed' OR (file_path IS NOT NULL AND completed_at IS NOT NULL))
);
CREATE INDEX reports_created ON reports (created_at);

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON quickbooks_connections
  FOR EACH ROW EXECUTE FUNCTION audit_row('access_token', 'refresh_token', 'token_expires_at');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON quickbooks_exports FOR EACH ROW EXECUTE FUNCTION audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON slo_definitions FOR EACH ROW EXECUTE FUNCTION audit_row();
