-- Files: who touched them, who may, how they came in, and which are the same.

CREATE TABLE file_access_log (
  id              uuid PRIMARY KEY,
  user_id         uuid REFERENCES users (id) ON DELETE SET NULL,
  file_storage_id uuid REFERENCES file_storage (id) ON DELETE CASCADE,
  file_name       varchar(500),
  action          varchar(20) NOT NULL CHECK (action IN ('upload', 'download', 'delete', 'share')),
  ip_address      varchar(45),
  user_agent      text,
  created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX file_access_log_file ON file_access_log (file_storage_id, created_at DESC);

CREATE TABLE storage_audit (
  id            uuid PRIMARY KEY,
  operation     varchar(20) NOT NULL CHECK (operation IN ('store', 'retrieve', 'delete', 'list', 'compress', 'decompress', 'scan')),
  storage_type  varchar(20) NOT NULL,
  file_path     text NOT NULL,
  file_hash     char(64),
  file_size     bigint,
  success       boolean NOT NULL,
  error_message text,
  duration_ms   bigint NOT NULL CHECK (duration_ms >= 0),
  user_id       uuid REFERENCES users (id) ON DELETE SET NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  CHECK (success = (error_message IS NULL))
);
CREATE INDEX storage_audit_operation ON storage_audit (operation, created_at DESC);
CREATE INDEX storage_audit_created ON storage_audit (created_at);

CREATE TABLE file_access_control (
  file_storage_id uuid NOT NULL REFERENCES file_storage (id) ON DELETE CASCADE,
  user_id         uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  access_level    varchar(10) NOT NULL DEFAULT 'read' CHECK (access_level IN ('read', 'write')),
  granted_by      uuid REFERENCES users (id) ON DELETE SET NULL,
  expires_at      timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (file_storage_id, user_id)
);
CREATE INDEX file_access_control_user ON file_access_control (user_id);

ALTER TABLE file_storage
  ADD COLUMN reference_count integer NOT NULL DEFAULT 1 CHECK (reference_count >= 0),
  ADD COLUMN storage_type varchar(20) NOT NULL DEFAULT 'local',
  ADD COLUMN is_public boolean NOT NULL DEFAULT false,
  ADD COLUMN access_expires_at timestamptz,
  ADD COLUMN processing_job_id uuid REFERENCES processing_jobs (id) ON DELETE SET NULL,
  ADD COLUMN scan_status varchar(10) NOT NULL DEFAULT 'unscanned' CHECK (scan_status IN ('unscanned', 'clean', 'infected')),
  ADD COLUMN scan_signature varchar(255),
  ADD COLUMN scanned_at timestamptz,
  ADD CHECK ((scan_status = 'unscanned') = (scanned_at IS NULL)),
  ADD CHECK ((scan_status = 'infected') = (scan_signature IS NOT NULL));

CREATE TABLE signed_urls (
  id               uuid PRIMARY KEY,
  token_hash       char(64) NOT NULL UNIQUE CHECK (token_hash ~ '^[0-9a-f]{64}$'),
  file_storage_id  uuid NOT NULL REFERENCES file_storage (id) ON DELETE CASCADE,
  expires_at       timestamptz NOT NULL,
  max_access_count integer NOT NULL DEFAULT 1 CHECK (max_access_count > 0),
  access_count     integer NOT NULL DEFAULT 0 CHECK (access_count BETWEEN 0 AND max_access_count),
  allowed_ips      text[],
  is_active        boolean NOT NULL DEFAULT true,
  created_by       uuid REFERENCES users (id) ON DELETE SET NULL,
  last_accessed_at timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  CHECK (expires_at BETWEEN created_at AND created_at + interval '168 hours')
);
CREATE INDEX signed_urls_expiry ON signed_urls (expires_at);

-- Chunks of one upload; resumable at received_bytes.
CREATE TABLE upload_sessions (
  id             uuid PRIMARY KEY,
  user_id        uuid REFERENCES users (id) ON DELETE CASCADE,
  file_name      varchar(500) NOT NULL CHECK (file_name <> ''),
  total_bytes    bigint CHECK (total_bytes > 0),
  received_bytes bigint NOT NULL DEFAULT 0 CHECK (received_bytes >= 0 AND received_bytes <= total_bytes),
  temp_path      text NOT NULL,
  status         varchar(10) NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'complete', 'aborted')),
  expires_at     timestamptz NOT NULL DEFAULT now() + interval '1 day',
  created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX upload_sessions_expiry ON upload_sessions (expires_at) WHERE status = 'open';

CREATE TYPE ingestionstatus AS ENUM
  ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'DUPLICATE_DETECTED', 'REQUIRE_REVIEW');
CREATE TABLE ingestion_jobs (
  id                     uuid PRIMARY KEY,
  original_filename      varchar(500) NOT NULL CHECK (original_filename <> ''),
  file_extension         varchar(20),
  file_size_bytes        bigint NOT NULL CHECK (file_size_bytes > 0),
  file_hash_sha256       char(64) NOT NULL UNIQUE CHECK (file_hash_sha256 ~ '^[0-9a-f]{64}$'),
  mime_type              varchar(100) NOT NULL,
  storage_path           text NOT NULL,
  storage_backend        varchar(50) NOT NULL DEFAULT 'local',
  status                 ingestionstatus NOT NULL DEFAULT 'PENDING',
  extracted_metadata     jsonb NOT NULL DEFAULT '{}',
  vendor_id              uuid REFERENCES vendors (id),
  invoice_id             uuid REFERENCES invoices (id) ON DELETE SET NULL,
  processing_priority    integer NOT NULL DEFAULT 5 CHECK (processing_priority BETWEEN 1 AND 10),
  deduplication_strategy varchar(30) NOT NULL DEFAULT 'COMPOSITE',
  duplicate_group_id     uuid,
  is_duplicate           boolean NOT NULL DEFAULT false,
  error_code             varchar(100),
  error_message          text,
  retry_count            integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
  max_retries            integer NOT NULL DEFAULT 3 CHECK (max_retries >= 0),
  source_type            varchar(50) NOT NULL DEFAULT 'upload',
  source_reference       text,
  uploaded_by            uuid REFERENCES users (id) ON DELETE SET NULL,
  created_at             timestamptz NOT NULL DEFAULT now(),
  updated_at             timestamptz NOT NULL DEFAULT now(),
  completed_at           timestamptz,
  CHECK (status <> 'FAILED' OR error_message IS NOT NULL)
);
CREATE INDEX ingestion_jobs_status ON ingestion_jobs (status, created_at);
CREATE INDEX ingestion_jobs_group ON ingestion_jobs (duplicate_group_id) WHERE duplicate_group_id IS NOT NULL;
ALTER TABLE idempotency_records ADD FOREIGN KEY (ingestion_job_id) REFERENCES ingestion_jobs (id) ON DELETE CASCADE;

-- Two invoices that look like one.
CREATE TYPE duplicateaction AS ENUM ('AUTO_IGNORE', 'AUTO_MERGE', 'MANUAL_REVIEW', 'REPLACE_EXISTING', 'ARCHIVE_EXISTING');
CREATE TABLE duplicate_records (
  id                    uuid PRIMARY KEY,
  invoice_id            uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  duplicate_invoice_id  uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,   -- the earlier one
  strategy              varchar(30) NOT NULL CHECK (strategy IN ('FILE_HASH', 'VENDOR_NUMBER', 'BUSINESS_RULES', 'FUZZY_MATCHING')),
  confidence            numeric(4, 3) NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  match_criteria        jsonb NOT NULL,
  status                varchar(20) NOT NULL DEFAULT 'detected' CHECK (status IN ('detected', 'resolved', 'dismissed')),
  resolution_action     duplicateaction,
  requires_human_review boolean NOT NULL DEFAULT true,
  resolved_by           varchar(255),
  resolved_at           timestamptz,
  created_at            timestamptz NOT NULL DEFAULT now(),
  UNIQUE (invoice_id, duplicate_invoice_id, strategy),
  CHECK (invoice_id <> duplicate_invoice_id),
  CHECK ((status = 'detected') = (resolved_at IS NULL))
);
CREATE INDEX duplicate_records_earlier ON duplicate_records (duplicate_invoice_id);
CREATE INDEX duplicate_records_open ON duplicate_records (created_at) WHERE status = 'detected';

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON duplicate_records FOR EACH ROW EXECUTE FUNCTION audit_row('match_criteria');
CREATE TRIGGER audit AFTER UPDATE OR DELETE ON file_storage
  FOR EACH ROW EXECUTE FUNCTION audit_row('processing_status', 'processing_job_id', 'reference_count');
