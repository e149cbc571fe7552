-- Mail that brings invoices.

-- Tokens and passwords are stored encrypted by the application; the key is not in the database.
CREATE TABLE email_credentials (
  id                uuid PRIMARY KEY,
  user_id           uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  provider          varchar(20) NOT NULL CHECK (provider IN ('gmail', 'imap', 'outlook')),
  email_address     varchar(320) NOT NULL CHECK (email_address LIKE '%_@_%'),
  secret_encrypted  bytea NOT NULL,                       -- refresh token or password
  access_encrypted  bytea,                                -- the current access token
  key_id            varchar(64) NOT NULL,                 -- which key it was encrypted with
  token_uri         text,
  client_id         varchar(255),
  scopes            text[] NOT NULL DEFAULT '{}',
  expires_at        timestamptz,
  is_active         boolean NOT NULL DEFAULT true,
  last_refreshed_at timestamptz,
  refresh_count     integer NOT NULL DEFAULT 0 CHECK (refresh_count >= 0),
  last_error        text,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, provider, email_address)
);
CREATE INDEX email_credentials_expiry ON email_credentials (expires_at) WHERE is_active;

CREATE TABLE email_monitoring_configs (
  id                       uuid PRIMARY KEY,
  user_id                  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  credentials_id           uuid REFERENCES email_credentials (id) ON DELETE CASCADE,
  account                  varchar(320) NOT NULL CHECK (account <> ''),
  folder                   varchar(255) NOT NULL DEFAULT 'INBOX',
  is_active                boolean NOT NULL DEFAULT true,
  monitoring_interval_minutes integer NOT NULL DEFAULT 60 CHECK (monitoring_interval_minutes > 0),
  days_back_to_process     integer NOT NULL DEFAULT 7 CHECK (days_back_to_process BETWEEN 1 AND 365),
  max_emails_per_run       integer NOT NULL DEFAULT 50 CHECK (max_emails_per_run BETWEEN 1 AND 10000),
  auto_process_invoices    boolean NOT NULL DEFAULT true,
  auto_approve_threshold   integer NOT NULL DEFAULT 90 CHECK (auto_approve_threshold BETWEEN 0 AND 100),
  security_validation      boolean NOT NULL DEFAULT true,
  trusted_senders          text[] NOT NULL DEFAULT '{}',
  notify_on_success        boolean NOT NULL DEFAULT false,
  notify_on_failure        boolean NOT NULL DEFAULT true,
  notify_on_security       boolean NOT NULL DEFAULT true,
  -- where the last run ended: IMAP's pair, Gmail's history
  uid_validity             bigint,
  last_uid                 bigint CHECK (last_uid >= 0),
  history_id               numeric(20),
  watch_expires_at         timestamptz,
  last_run_at              timestamptz,
  next_run_at              timestamptz,
  last_error               text,
  created_at               timestamptz NOT NULL DEFAULT now(),
  updated_at               timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, account, folder)
);
CREATE INDEX email_monitoring_configs_due ON email_monitoring_configs (next_run_at) WHERE is_active;

CREATE TABLE email_security_rules (
  id          uuid PRIMARY KEY,
  user_id     uuid REFERENCES users (id) ON DELETE CASCADE,              -- null: for everybody
  rule_type   varchar(30) NOT NULL CHECK (rule_type IN ('trusted_sender', 'blocked_sender', 'malicious_pattern',
              'blocked_extension', 'max_urls', 'max_attachments', 'max_attachment_bytes')),
  pattern     text NOT NULL CHECK (pattern <> ''),
  action      varchar(10) NOT NULL DEFAULT 'block' CHECK (action IN ('allow', 'flag', 'block')),
  is_active   boolean NOT NULL DEFAULT true,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX email_security_rules_once ON email_security_rules
  (coalesce(user_id, '00000000-0000-0000-0000-000000000000'), rule_type, pattern);

-- One row per message and account, whatever brings it: a poll, a push, the same poll again.
CREATE TABLE emails (
  id                uuid PRIMARY KEY,
  user_id           uuid REFERENCES users (id) ON DELETE CASCADE,
  account           varchar(320) NOT NULL CHECK (account <> ''),
  provider          varchar(20) NOT NULL CHECK (provider IN ('gmail', 'imap', 'outlook', 'upload')),
  provider_id       varchar(255) NOT NULL,                               -- Gmail's id; "<uidvalidity>:<uid>" for IMAP
  thread_id         varchar(255),
  message_id        varchar(998),                                        -- the header, without brackets
  message_hash      char(64) NOT NULL CHECK (message_hash ~ '^[0-9a-f]{64}$'),  -- of Message-ID, else of sender, subject and date
  subject           text NOT NULL DEFAULT '',
  from_address      varchar(320) NOT NULL DEFAULT '',
  from_name         varchar(320) NOT NULL DEFAULT '',
  to_addresses      text[] NOT NULL DEFAULT '{}',
  sent_at           timestamptz,
  received_at       timestamptz NOT NULL DEFAULT now(),
  body_text         text,
  size_bytes        bigint CHECK (size_bytes >= 0),
  has_attachments   boolean NOT NULL DEFAULT false,
  attachment_count  integer NOT NULL DEFAULT 0 CHECK (attachment_count >= 0),
  is_trusted_sender boolean NOT NULL DEFAULT false,
  security_flags    text[] NOT NULL DEFAULT '{}',
  vendor_name       varchar(255),
  status            varchar(20) NOT NULL DEFAULT 'received' CHECK (status IN ('received', 'processing', 'processed',
                    'ignored', 'blocked', 'failed')),
  error_message     text,
  labels            text[] NOT NULL DEFAULT '{}',
  raw_uri           text,                                                -- storage://... of the whole message, when kept
  task_id           varchar(255),
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  processed_at      timestamptz,
  UNIQUE (account, message_hash),
  UNIQUE (account, provider, provider_id),
  CHECK (status <> 'failed' OR error_message IS NOT NULL),
  CHECK (status <> 'blocked' OR cardinality(security_flags) > 0)
);
CREATE INDEX emails_status ON emails (status, received_at DESC);
CREATE INDEX emails_owner ON emails (user_id, received_at DESC);
CREATE INDEX emails_received ON emails (received_at);

CREATE TABLE email_attachments (
  id                uuid PRIMARY KEY,
  email_id          uuid NOT NULL REFERENCES emails (id) ON DELETE CASCADE,
  part              varchar(100) NOT NULL,                               -- "2.1", place in the message
  provider_id       text,                                                -- Gmail's attachment id
  filename          varchar(500) NOT NULL DEFAULT '',
  content_type      varchar(100) NOT NULL DEFAULT 'application/octet-stream',
  size_bytes        bigint NOT NULL CHECK (size_bytes >= 0),
  content_hash      char(64) CHECK (content_hash ~ '^[0-9a-f]{64}$'),
  storage_uri       text,
  file_storage_id   uuid REFERENCES file_storage (id) ON DELETE SET NULL,
  status            varchar(20) NOT NULL DEFAULT 'found' CHECK (status IN ('found', 'stored', 'queued', 'processed',
                    'duplicate', 'refused', 'failed')),
  refusal           varchar(100),                                        -- why it was not processed
  duplicate_of      uuid REFERENCES email_attachments (id) ON DELETE SET NULL,
  process_task_id   uuid,                                                -- the follow-up's id, fixed beforehand
  processing_job_id uuid REFERENCES processing_jobs (id) ON DELETE SET NULL,
  invoice_id        uuid REFERENCES invoices (id) ON DELETE SET NULL,
  error_message     text,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  UNIQUE (email_id, part),
  CHECK (status NOT IN ('stored', 'queued', 'processed') OR (content_hash IS NOT NULL AND storage_uri IS NOT NULL)),
  CHECK ((status = 'refused') = (refusal IS NOT NULL)),
  CHECK (status <> 'queued' OR process_task_id IS NOT NULL),
  CHECK (status <> 'failed' OR error_message IS NOT NULL)
);
CREATE INDEX email_attachments_content ON email_attachments (content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX email_attachments_invoice ON email_attachments (invoice_id) WHERE invoice_id IS NOT NULL;

CREATE TABLE email_processing_logs (
  id         uuid PRIMARY KEY,
  email_id   uuid REFERENCES emails (id) ON DELETE CASCADE,
  config_id  uuid REFERENCES email_monitoring_configs (id) ON DELETE SET NULL,
  step       varchar(50) NOT NULL,
  success    boolean NOT NULL,
  message    text,
  details    jsonb NOT NULL DEFAULT '{}',
  duration_ms bigint CHECK (duration_ms >= 0),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX email_processing_logs_email ON email_processing_logs (email_id, created_at);
CREATE INDEX email_processing_logs_created ON email_processing_logs (created_at);

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON email_credentials
  FOR EACH ROW EXECUTE FUNCTION audit_row('secret_encrypted', 'access_encrypted', 'last_refreshed_at', 'refresh_count');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON email_monitoring_configs
  FOR EACH ROW EXECUTE FUNCTION audit_row('uid_validity', 'last_uid', 'history_id', 'last_run_at', 'next_run_at');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON email_security_rules FOR EACH ROW EXECUTE FUNCTION audit_row();
