-- Invoices on their way out.

CREATE TYPE exportformat AS ENUM ('CSV', 'JSON', 'JSONL', 'XLSX');
CREATE TYPE exportstatus AS ENUM ('PREPARED', 'SENT', 'FAILED');
CREATE TYPE exportjobstatus AS ENUM ('PENDING', 'PREPARING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED');
CREATE TYPE exportdestination AS ENUM ('DOWNLOAD', 'FILE_STORAGE', 'API_ENDPOINT');

-- One invoice, one file. The content's digest makes a repeated export the same export.
CREATE TABLE staged_exports (
  id             uuid PRIMARY KEY,
  invoice_id     uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  payload_json   jsonb NOT NULL,
  payload_digest char(64) NOT NULL CHECK (payload_digest ~ '^[0-9a-f]{64}$'),
  format         exportformat NOT NULL,
  status         exportstatus NOT NULL DEFAULT 'PREPARED',
  destination    varchar(255) NOT NULL CHECK (destination <> ''),
  export_job_id  varchar(100),
  file_name      varchar(255) NOT NULL,
  file_size      bigint NOT NULL CHECK (file_size >= 0),
  storage_url    text,
  error_message  text,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  UNIQUE (invoice_id, format, destination, payload_digest),
  CHECK (status <> 'FAILED' OR error_message IS NOT NULL)
);
CREATE INDEX staged_exports_created ON staged_exports (created_at);

CREATE TABLE export_templates (
  id              uuid PRIMARY KEY,
  name            varchar(255) NOT NULL UNIQUE CHECK (name <> ''),
  description     text,
  format          exportformat NOT NULL,
  level           varchar(10) NOT NULL DEFAULT 'invoice' CHECK (level IN ('invoice', 'line')),  -- one record for each
  field_mappings  jsonb NOT NULL CHECK (jsonb_typeof(field_mappings) = 'array' AND jsonb_array_length(field_mappings) > 0),
  header_config   jsonb NOT NULL DEFAULT '{}',
  compression     boolean NOT NULL DEFAULT false,
  is_active       boolean NOT NULL DEFAULT true,
  version         integer NOT NULL DEFAULT 1 CHECK (version > 0),
  created_by      varchar(255),
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE export_jobs (
  id                 uuid PRIMARY KEY,
  name               varchar(255),
  template_id        uuid REFERENCES export_templates (id),
  format             exportformat NOT NULL,
  destination        exportdestination NOT NULL DEFAULT 'FILE_STORAGE',
  destination_config jsonb NOT NULL DEFAULT '{}',
  filters            jsonb NOT NULL DEFAULT '{}',
  status             exportjobstatus NOT NULL DEFAULT 'PENDING',
  priority           integer NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 10),
  batch_size         integer NOT NULL DEFAULT 1000 CHECK (batch_size BETWEEN 1 AND 100000),
  progress           integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
  total_records      bigint CHECK (total_records >= 0),
  processed_records  bigint NOT NULL DEFAULT 0 CHECK (processed_records >= 0),
  skipped_records    bigint NOT NULL DEFAULT 0 CHECK (skipped_records >= 0),    -- without a required field
  file_path          text,
  file_name          varchar(255),
  file_size          bigint CHECK (file_size >= 0),
  file_hash          char(64) CHECK (file_hash ~ '^[0-9a-f]{64}$'),
  delivered_at       timestamptz,
  task_id            varchar(255),
  worker             varchar(255),
  retry_count        integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
  max_retries        integer NOT NULL DEFAULT 3 CHECK (max_retries >= 0),
  error_code         varchar(100),
  error_message      text,
  user_id            uuid REFERENCES users (id) ON DELETE SET NULL,
  schedule_id        uuid,
  created_at         timestamptz NOT NULL DEFAULT now(),
  started_at         timestamptz,
  updated_at         timestamptz NOT NULL DEFAULT now(),
  completed_at       timestamptz,
  CHECK ((status IN ('COMPLETED', 'FAILED', 'CANCELLED')) = (completed_at IS NOT NULL)),
  CHECK ((status = 'FAILED') = (error_code IS NOT NULL)),
  CHECK (status <> 'COMPLETED' OR (progress = 100 AND file_path IS NOT NULL AND file_hash IS NOT NULL AND file_size IS NOT NULL)),
  CHECK (delivered_at IS NULL OR status = 'COMPLETED')
);
CREATE INDEX export_jobs_status ON export_jobs (status, priority DESC, created_at);
CREATE INDEX export_jobs_owner ON export_jobs (user_id, created_at DESC);
CREATE INDEX export_jobs_completed ON export_jobs (completed_at) WHERE completed_at IS NOT NULL;

CREATE TABLE export_audit_logs (
  id            uuid PRIMARY KEY,
  export_job_id uuid NOT NULL REFERENCES export_jobs (id) ON DELETE CASCADE,
  event_type    varchar(30) NOT NULL CHECK (event_type IN ('job_created', 'job_started', 'job_completed', 'job_failed',
                'job_cancelled', 'delivered', 'downloaded')),
  event_data    jsonb NOT NULL DEFAULT '{}',
  user_id       uuid REFERENCES users (id) ON DELETE SET NULL,
  created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX export_audit_logs_job ON export_audit_logs (export_job_id, created_at);

CREATE TABLE export_metrics (
  export_job_id      uuid PRIMARY KEY REFERENCES export_jobs (id) ON DELETE CASCADE,
  total_records      bigint NOT NULL,
  file_size          bigint NOT NULL,
  processing_time_ms bigint NOT NULL CHECK (processing_time_ms >= 0),
  records_per_second numeric(12, 2),
  created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE export_schedules (
  id               uuid PRIMARY KEY,
  name             varchar(255) NOT NULL UNIQUE,
  template_id      uuid REFERENCES export_templates (id),
  format           exportformat NOT NULL,
  destination      exportdestination NOT NULL DEFAULT 'FILE_STORAGE',
  destination_config jsonb NOT NULL DEFAULT '{}',
  filters          jsonb NOT NULL DEFAULT '{}',
  period           interval NOT NULL CHECK (period >= interval '1 minute'),
  next_run_at      timestamptz NOT NULL,
  last_run_at      timestamptz,
  is_active        boolean NOT NULL DEFAULT true,
  user_id          uuid REFERENCES users (id) ON DELETE SET NULL,
  created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX export_schedules_due ON export_schedules (next_run_at) WHERE is_active;
ALTER TABLE export_jobs ADD FOREIGN KEY (schedule_id) REFERENCES export_schedules (id) ON DELETE SET NULL;

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON export_jobs
  FOR EACH ROW EXECUTE FUNCTION audit_row('progress', 'processed_records', 'destination_config', 'filters', 'worker');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON staged_exports FOR EACH ROW EXECUTE FUNCTION audit_row('payload_json');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON export_templates FOR EACH ROW EXECUTE FUNCTION audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON export_schedules
  FOR EACH ROW EXECUTE FUNCTION audit_row('next_run_at', 'last_run_at', 'destination_config');
