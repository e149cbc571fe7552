-- Effects that happen once although messages come at least once, and messages that failed for good.

-- An effect is written here in the transaction that decides it, and carried out afterwards by
-- whoever claims it first. The id is the task's id or the receiver's idempotency key, so that an
-- effect repeated after a crash is known as the same one at the other end.
CREATE TABLE outbox (
  id           uuid PRIMARY KEY,
  effect_key   varchar(255) NOT NULL UNIQUE CHECK (effect_key <> ''),      -- "export:<job>", "validate:<invoice>"
  kind         varchar(20) NOT NULL CHECK (kind IN ('task', 'webhook', 'mail', 'delivery')),
  target       text NOT NULL CHECK (target <> ''),                         -- task name, URL, address, destination
  payload      jsonb NOT NULL,
  state        varchar(10) NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
  attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  max_attempts integer NOT NULL DEFAULT 20 CHECK (max_attempts > 0),
  available_at timestamptz NOT NULL DEFAULT now(),                         -- not before; the end of a claim
  claimed_by   varchar(255),
  last_error   text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  sent_at      timestamptz,
  CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
  CHECK (state <> 'failed' OR last_error IS NOT NULL)
);
CREATE INDEX outbox_waiting ON outbox (available_at) WHERE state = 'waiting';
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE state = 'sent';

CREATE TYPE idempotency_operation AS ENUM
  ('INVOICE_UPLOAD', 'INVOICE_PROCESS', 'EXPORT_STAGE', 'EXPORT_POST', 'EXCEPTION_RESOLVE', 'BATCH_OPERATION',
   'EMAIL_INGEST', 'EMAIL_SEND', 'LLM_CALL', 'TASK');
CREATE TYPE idempotency_status AS ENUM ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED');

-- Execution keys: who inserts the key runs; who finds it completed answers its result.
CREATE TABLE idempotency_records (
  id               uuid PRIMARY KEY,
  idempotency_key  varchar(255) NOT NULL UNIQUE CHECK (idempotency_key <> ''),
  operation_type   idempotency_operation NOT NULL,
  operation_status idempotency_status NOT NULL DEFAULT 'PENDING',
  request_hash     char(64) CHECK (request_hash ~ '^[0-9a-f]{64}$'),       -- the same key with another request is refused
  invoice_id       uuid REFERENCES invoices (id) ON DELETE CASCADE,
  ingestion_job_id uuid,
  operation_data   jsonb NOT NULL DEFAULT '{}',
  result_data      jsonb,
  error_data       jsonb,
  execution_count  integer NOT NULL DEFAULT 0 CHECK (execution_count BETWEEN 0 AND max_executions),
  max_executions   integer NOT NULL DEFAULT 3 CHECK (max_executions >= 1),
  first_attempt_at timestamptz,
  last_attempt_at  timestamptz,
  completed_at     timestamptz,
  expires_at       timestamptz NOT NULL DEFAULT now() + interval '1 day',
  ttl_seconds      integer NOT NULL DEFAULT 86400 CHECK (ttl_seconds > 0),
  user_id          uuid REFERENCES users (id) ON DELETE SET NULL,
  session_id       varchar(255),
  client_ip        varchar(45),
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  CHECK ((operation_status = 'COMPLETED') = (result_data IS NOT NULL AND completed_at IS NOT NULL)),
  CHECK (operation_status <> 'FAILED' OR error_data IS NOT NULL)
);
CREATE INDEX idempotency_records_expiry ON idempotency_records (expires_at);
CREATE INDEX idempotency_records_invoice ON idempotency_records (invoice_id) WHERE invoice_id IS NOT NULL;

CREATE TYPE dlqstatus AS ENUM
  ('PENDING', 'PROCESSING', 'REDRIVING', 'COMPLETED', 'FAILED_PERMANENTLY', 'ARCHIVED');
CREATE TYPE dlqcategory AS ENUM
  ('NETWORK_ERROR', 'TIMEOUT_ERROR', 'DATABASE_ERROR', 'VALIDATION_ERROR', 'BUSINESS_RULE_ERROR', 'SYSTEM_ERROR',
   'PROCESSING_ERROR', 'UNKNOWN_ERROR', 'POISON', 'UNKNOWN_TASK', 'UNDECODABLE', 'EXPIRED', 'REVOKED');
CREATE TYPE dlqpriority AS ENUM ('LOW', 'NORMAL', 'HIGH', 'CRITICAL');

CREATE TABLE dead_letter_queue (
  id                  uuid PRIMARY KEY,
  task_id             varchar(255) NOT NULL UNIQUE CHECK (task_id <> ''),  -- "digest:<sha-256>" when the message names none
  task_name           varchar(255) NOT NULL,
  task_args           jsonb,
  task_kwargs         jsonb,
  raw_message         bytea NOT NULL,                                      -- exactly as it came from the broker
  error_type          varchar(255) NOT NULL,
  error_message       text NOT NULL,
  error_stack_trace   text,
  error_category      dlqcategory NOT NULL,
  priority            dlqpriority NOT NULL DEFAULT 'NORMAL',
  dlq_status          dlqstatus NOT NULL DEFAULT 'PENDING',
  attempts            integer NOT NULL DEFAULT 1 CHECK (attempts >= 0),    -- runs of the task before it came here
  retry_count         integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0), -- redrives
  max_retries         integer NOT NULL DEFAULT 3 CHECK (max_retries >= 0),
  last_retry_at       timestamptz,
  next_retry_at       timestamptz,
  redrive_history     jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(redrive_history) = 'array'),
  manual_intervention boolean NOT NULL DEFAULT false,
  invoice_id          uuid,
  worker_name         varchar(255),
  queue_name          varchar(255) NOT NULL,
  original_task_data  jsonb NOT NULL DEFAULT '{}',
  first_failed_at     timestamptz NOT NULL,
  last_failed_at      timestamptz NOT NULL,
  resolved_at         timestamptz,
  resolved_by         varchar(255),
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  CHECK (last_failed_at >= first_failed_at),
  CHECK ((dlq_status IN ('COMPLETED', 'ARCHIVED')) = (resolved_at IS NOT NULL))
);
CREATE INDEX dead_letter_queue_status ON dead_letter_queue (dlq_status, priority);
CREATE INDEX dead_letter_queue_created ON dead_letter_queue (created_at);
CREATE INDEX dead_letter_queue_ready ON dead_letter_queue (priority DESC, first_failed_at) WHERE dlq_status = 'PENDING';
CREATE INDEX dead_letter_queue_task ON dead_letter_queue (task_name, dlq_status);
CREATE INDEX dead_letter_queue_category ON dead_letter_queue (error_category, dlq_status);
