-- Who may see a row, who changed it, and what may become of an invoice.
--
-- Labels of enumerations are upper-case member names where Python models read them so; plain
-- text columns hold lower-case values.

CREATE TABLE users (
  id                    uuid PRIMARY KEY,
  email                 varchar(320) UNIQUE CHECK (email LIKE '%_@_%'),
  username              varchar(100) UNIQUE,
  name                  varchar(255),
  full_name             varchar(255),
  hashed_password       text,
  role                  varchar(20) NOT NULL DEFAULT 'user'
                        CHECK (role IN ('user', 'admin', 'manager', 'accountant', 'ap_clerk', 'clerk', 'viewer', 'vendor')),
  status                varchar(20) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive', 'suspended')),
  google_id             varchar(255) UNIQUE,
  quickbooks_id         varchar(255) UNIQUE,
  access_code           varchar(50) UNIQUE,
  department            varchar(100),
  image                 text,
  is_active             boolean NOT NULL DEFAULT true,
  is_verified           boolean NOT NULL DEFAULT false,
  email_verified        boolean NOT NULL DEFAULT false,
  preferences           jsonb NOT NULL DEFAULT '{}',
  notification_settings jsonb NOT NULL DEFAULT '{}',
  login_count           integer NOT NULL DEFAULT 0 CHECK (login_count >= 0),
  last_login            timestamptz,
  last_login_at         timestamptz,
  deleted_at            timestamptz,                                   -- soft delete: rows keep their owner
  created_at            timestamptz NOT NULL DEFAULT now(),
  updated_at            timestamptz NOT NULL DEFAULT now()
);

-- Tokens are kept as digests: who reads this table cannot log in with it.
CREATE TABLE user_sessions (
  id                 uuid PRIMARY KEY,
  user_id            uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  token_hash         char(64) NOT NULL UNIQUE CHECK (token_hash ~ '^[0-9a-f]{64}$'),
  refresh_token_hash char(64) UNIQUE CHECK (refresh_token_hash ~ '^[0-9a-f]{64}$'),
  user_agent         text,
  ip_address         varchar(45),
  is_active          boolean NOT NULL DEFAULT true,
  expires_at         timestamptz NOT NULL,
  last_accessed      timestamptz NOT NULL DEFAULT now(),
  terminated_at      timestamptz,
  created_at         timestamptz NOT NULL DEFAULT now(),
  CHECK (is_active OR terminated_at IS NOT NULL)
);
CREATE INDEX user_sessions_user ON user_sessions (user_id);
CREATE INDEX user_sessions_expiry ON user_sessions (expires_at);

CREATE TABLE api_keys (
  id           uuid PRIMARY KEY,
  user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name         varchar(100) NOT NULL CHECK (name <> ''),
  key_prefix   varchar(16) NOT NULL,
  key_hash     char(64) NOT NULL UNIQUE CHECK (key_hash ~ '^[0-9a-f]{64}$'),
  permissions  jsonb NOT NULL DEFAULT '[]',
  rate_limit   integer NOT NULL DEFAULT 1000 CHECK (rate_limit > 0),     -- requests an hour
  allowed_ips  text[],
  is_active    boolean NOT NULL DEFAULT true,
  expires_at   timestamptz,
  last_used_at timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_keys_user ON api_keys (user_id);

-- A task may name an owner before that person ever logged in: the row is then an inactive
-- stand-in that the front end completes.
CREATE FUNCTION ensure_user(owner uuid) RETURNS uuid LANGUAGE sql AS $$
  INSERT INTO users (id, is_active, status) SELECT owner, false, 'inactive' WHERE owner IS NOT NULL
  ON CONFLICT (id) DO NOTHING;
  SELECT owner;
$$;

INSERT INTO users (id, is_active, status)
SELECT DISTINCT id, false, 'inactive' FROM (
  SELECT user_id AS id FROM file_storage UNION SELECT user_id FROM processing_jobs
  UNION SELECT uploaded_by_user_id FROM invoices UNION SELECT user_id FROM audit_log) AS known
WHERE id IS NOT NULL;

ALTER TABLE file_storage ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE processing_jobs ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE invoices ADD FOREIGN KEY (uploaded_by_user_id) REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE audit_log ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX file_storage_owner ON file_storage (user_id, created_at DESC);
CREATE INDEX processing_jobs_owner ON processing_jobs (user_id, status, created_at DESC);
CREATE INDEX processing_jobs_unread ON processing_jobs (user_id)
  WHERE viewed_at IS NULL AND status IN ('completed', 'failed');
CREATE INDEX processing_jobs_lost ON processing_jobs (updated_at) WHERE status = 'running';
CREATE INDEX invoices_owner ON invoices (uploaded_by_user_id, created_at DESC);

-- Every change of an audited table leaves its row here within the same transaction, whoever made
-- it. The session says who and why: set_config('celeriac.actor' | 'celeriac.user_id' |
-- 'celeriac.reason' | 'celeriac.task_id', ..., true).
ALTER TABLE audit_log
  ADD COLUMN changed_fields text[],
  ADD COLUMN task_id varchar(255),
  DROP CONSTRAINT audit_log_action_check,
  ADD CHECK (action IN ('CREATE', 'UPDATE', 'DELETE', 'LOGIN', 'BULK_CREATE', 'BULK_UPDATE', 'BULK_DELETE', 'BULK_IMPORT'));
CREATE INDEX audit_log_newest ON audit_log (created_at DESC);
CREATE INDEX audit_log_user ON audit_log (user_id, created_at DESC);

-- Arguments of the trigger: columns that are not worth a row or must not be copied into one.
CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - 'updated_at' - TG_ARGV END;
  after  jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'updated_at' - TG_ARGV END;
  fields text[];
BEGIN
  IF TG_OP = 'UPDATE' THEN
    SELECT array_agg(n.key ORDER BY n.key) INTO fields
      FROM jsonb_each(after) n WHERE n.value IS DISTINCT FROM before -> n.key;
    IF fields IS NULL THEN RETURN NULL; END IF;
    SELECT jsonb_object_agg(f, before -> f), jsonb_object_agg(f, after -> f) INTO before, after FROM unnest(fields) f;
  ELSE
    before := jsonb_strip_nulls(before);
    after := jsonb_strip_nulls(after);
  END IF;
  INSERT INTO audit_log (id, user_id, changed_by, table_name, record_id, action, old_values, new_values,
                         changed_fields, reason, task_id)
  VALUES (gen_random_uuid(), nullif(current_setting('celeriac.user_id', true), '')::uuid,
          coalesce(nullif(current_setting('celeriac.actor', true), ''), 'system'), TG_TABLE_NAME,
          CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END,
          CASE TG_OP WHEN 'INSERT' THEN 'CREATE' ELSE TG_OP END, before, after, fields,
          nullif(current_setting('celeriac.reason', true), ''), nullif(current_setting('celeriac.task_id', true), ''));
  RETURN NULL;
END $$;

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON users
  FOR EACH ROW EXECUTE FUNCTION audit_row('hashed_password', 'access_code', 'last_login', 'last_login_at', 'login_count');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON api_keys
  FOR EACH ROW EXECUTE FUNCTION audit_row('key_hash', 'last_used_at');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON invoices
  FOR EACH ROW EXECUTE FUNCTION audit_row('workflow_data', 'validation_task_id', 'validation_sent_at');

-- What may become of an invoice, for every writer alike.
CREATE TABLE invoice_transitions (
  old_status invoicestatus NOT NULL,
  new_status invoicestatus NOT NULL,
  PRIMARY KEY (old_status, new_status),
  CHECK (old_status <> new_status)
);
INSERT INTO invoice_transitions VALUES
  ('RECEIVED', 'PARSED'), ('RECEIVED', 'VALIDATED'), ('RECEIVED', 'EXCEPTION'),
  ('PARSED', 'VALIDATED'), ('PARSED', 'EXCEPTION'), ('PARSED', 'READY'),
  ('VALIDATED', 'PARSED'), ('VALIDATED', 'EXCEPTION'), ('VALIDATED', 'READY'), ('VALIDATED', 'STAGED'),
  ('EXCEPTION', 'PARSED'), ('EXCEPTION', 'VALIDATED'), ('EXCEPTION', 'READY'),
  ('READY', 'PARSED'), ('READY', 'VALIDATED'), ('READY', 'EXCEPTION'), ('READY', 'STAGED'),
  ('STAGED', 'EXCEPTION'), ('STAGED', 'DONE');

CREATE FUNCTION check_invoice_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM invoice_transitions WHERE old_status = OLD.status AND new_status = NEW.status) THEN
    RAISE EXCEPTION 'invoice % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER transition BEFORE UPDATE OF status ON invoices
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION check_invoice_transition();
