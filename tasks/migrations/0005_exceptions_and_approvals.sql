-- What validation found wrong, how it is mended, and who has to agree.

CREATE TYPE exceptioncategory AS ENUM ('MATH', 'DUPLICATE', 'MATCHING', 'VENDOR_POLICY', 'DATA_QUALITY', 'SYSTEM');
CREATE TYPE exceptionstatus AS ENUM ('OPEN', 'IN_PROGRESS', 'RESOLVED', 'ESCALATED', 'CLOSED');
CREATE TYPE exceptionaction AS ENUM
  ('RECALCULATE', 'MANUAL_ADJUST', 'MANUAL_REVIEW', 'REJECT_DUPLICATE', 'UPDATE_PO', 'ACCEPT_VARIANCE', 'ESCALATE',
   'MANUAL_APPROVAL', 'DATA_CORRECTION', 'SYSTEM_RETRY', 'AUTO_APPROVE');

ALTER TABLE validations
  ALTER COLUMN rules_version TYPE varchar(40),
  ADD COLUMN rules_digest char(64) CHECK (rules_digest ~ '^[0-9a-f]{64}$'),  -- of every rule's parameters
  ADD COLUMN score numeric(5, 2) CHECK (score BETWEEN 0 AND 100),
  ADD COLUMN result_json jsonb;
ALTER TABLE invoice_validations
  ADD COLUMN category exceptioncategory,
  ADD COLUMN tolerance text,
  ADD COLUMN recovery_hint text;

CREATE TABLE exceptions (
  id                uuid PRIMARY KEY,
  invoice_id        uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
  validation_id     uuid REFERENCES validations (id) ON DELETE SET NULL,
  reason_code       varchar(50) NOT NULL CHECK (reason_code <> ''),
  category          exceptioncategory NOT NULL,
  severity          varchar(10) NOT NULL CHECK (severity IN ('error', 'warning', 'info')),
  status            exceptionstatus NOT NULL DEFAULT 'OPEN',
  field             varchar(100) NOT NULL DEFAULT '',
  line_number       integer NOT NULL DEFAULT 0 CHECK (line_number >= 0),     -- 0: the whole invoice
  details_json      jsonb NOT NULL,
  auto_resolvable   boolean NOT NULL DEFAULT false,
  assigned_to       uuid REFERENCES users (id) ON DELETE SET NULL,
  resolution_action exceptionaction,
  resolution_data   jsonb,
  resolution_notes  text,
  resolved_by       varchar(255),
  resolved_at       timestamptz,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  CHECK ((status IN ('RESOLVED', 'CLOSED')) = (resolved_at IS NOT NULL AND resolved_by IS NOT NULL))
);
-- The same fault is open at most once.
CREATE UNIQUE INDEX exceptions_open ON exceptions (invoice_id, reason_code, field, line_number)
  WHERE status IN ('OPEN', 'IN_PROGRESS', 'ESCALATED');
CREATE INDEX exceptions_invoice ON exceptions (invoice_id, created_at DESC);
CREATE INDEX exceptions_status ON exceptions (status, created_at DESC);
CREATE INDEX exceptions_reason ON exceptions (reason_code, status);
CREATE INDEX exceptions_assigned ON exceptions (assigned_to, status) WHERE assigned_to IS NOT NULL;

CREATE TYPE approvalworkflowtype AS ENUM
  ('INVOICE_EXPORT', 'BULK_EXPORT', 'PAYMENT_APPROVAL', 'VENDOR_APPROVAL', 'EXCEPTION_APPROVAL', 'SYSTEM_CONFIG');
CREATE TYPE approvalstatus AS ENUM ('PENDING', 'IN_REVIEW', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED');
CREATE TYPE approvaldecision AS ENUM ('APPROVE', 'REJECT', 'REQUEST_CHANGES', 'DELEGATE', 'ESCALATE');

CREATE TABLE approval_workflows (
  id                      uuid PRIMARY KEY,
  name                    varchar(255) NOT NULL UNIQUE CHECK (name <> ''),
  workflow_type           approvalworkflowtype NOT NULL,
  description             text,
  is_active               boolean NOT NULL DEFAULT true,
  approval_timeout_hours  integer NOT NULL DEFAULT 72 CHECK (approval_timeout_hours > 0),
  configuration           jsonb NOT NULL DEFAULT '{}',
  created_at              timestamptz NOT NULL DEFAULT now(),
  updated_at              timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX approval_workflows_active ON approval_workflows (workflow_type) WHERE is_active;

CREATE TABLE approval_steps (
  id                 uuid PRIMARY KEY,
  workflow_id        uuid NOT NULL REFERENCES approval_workflows (id) ON DELETE CASCADE,
  step_number        integer NOT NULL CHECK (step_number > 0),
  step_name          varchar(255) NOT NULL,
  approval_role      varchar(30) NOT NULL CHECK (approval_role IN ('ap_clerk', 'ap_manager', 'controller', 'cfo',
                     'finance_director', 'auditor', 'system_admin')),
  required_approvers integer NOT NULL DEFAULT 1 CHECK (required_approvers > 0),
  is_parallel        boolean NOT NULL DEFAULT false,
  timeout_hours      integer CHECK (timeout_hours > 0),
  UNIQUE (workflow_id, step_number)
);

CREATE TABLE approval_requests (
  id           uuid PRIMARY KEY,
  workflow_id  uuid NOT NULL REFERENCES approval_workflows (id),
  entity_type  varchar(50) NOT NULL CHECK (entity_type IN ('invoice', 'exception', 'staged_export', 'export_job', 'vendor')),
  entity_id    uuid NOT NULL,
  title        varchar(255) NOT NULL,
  description  text,
  status       approvalstatus NOT NULL DEFAULT 'PENDING',
  current_step integer NOT NULL DEFAULT 1 CHECK (current_step > 0),
  priority     integer NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 10),
  requested_by varchar(255) NOT NULL,
  context_data jsonb NOT NULL DEFAULT '{}',
  expires_at   timestamptz NOT NULL,
  completed_at timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  CHECK ((status IN ('PENDING', 'IN_REVIEW')) = (completed_at IS NULL))
);
-- A thing waits for one decision of a kind at a time.
CREATE UNIQUE INDEX approval_requests_open ON approval_requests (workflow_id, entity_type, entity_id)
  WHERE status IN ('PENDING', 'IN_REVIEW');
CREATE INDEX approval_requests_entity ON approval_requests (entity_type, entity_id, created_at DESC);
CREATE INDEX approval_requests_due ON approval_requests (expires_at) WHERE status IN ('PENDING', 'IN_REVIEW');
CREATE INDEX approval_requests_status ON approval_requests (status, priority DESC, created_at);

CREATE TABLE approver_assignments (
  id          uuid PRIMARY KEY,
  request_id  uuid NOT NULL REFERENCES approval_requests (id) ON DELETE CASCADE,
  step_id     uuid NOT NULL REFERENCES approval_steps (id),
  user_id     uuid NOT NULL REFERENCES users (id),
  assigned_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (request_id, step_id, user_id)
);
CREATE INDEX approver_assignments_user ON approver_assignments (user_id);

CREATE TABLE approval_decisions (
  id          uuid PRIMARY KEY,
  request_id  uuid NOT NULL REFERENCES approval_requests (id) ON DELETE CASCADE,
  step_number integer NOT NULL CHECK (step_number > 0),
  user_id     uuid REFERENCES users (id) ON DELETE SET NULL,
  decided_by  varchar(255) NOT NULL,
  decision    approvaldecision NOT NULL,
  comments    text,
  decided_at  timestamptz NOT NULL DEFAULT now()
);
-- One voice each, in each step.
CREATE UNIQUE INDEX approval_decisions_voice ON approval_decisions (request_id, step_number, decided_by)
  WHERE decision IN ('APPROVE', 'REJECT');

INSERT INTO approval_workflows (id, name, workflow_type, description) VALUES
  ('a0000000-0000-4000-8000-000000000001', 'Invoice export', 'INVOICE_EXPORT', 'Before an invoice leaves the system'),
  ('a0000000-0000-4000-8000-000000000002', 'Exception approval', 'EXCEPTION_APPROVAL', 'Invoices that break a vendor or duplicate rule');
INSERT INTO approval_steps (id, workflow_id, step_number, step_name, approval_role) VALUES
  ('a0000000-0000-4000-8000-000000000011', 'a0000000-0000-4000-8000-000000000001', 1, 'Manager', 'ap_manager'),
  ('a0000000-0000-4000-8000-000000000012', 'a0000000-0000-4000-8000-000000000002', 1, 'Manager', 'ap_manager'),
  ('a0000000-0000-4000-8000-000000000013', 'a0000000-0000-4000-8000-000000000002', 2, 'Controller', 'controller');

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON exceptions FOR EACH ROW EXECUTE FUNCTION audit_row('details_json');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON approval_workflows FOR EACH ROW EXECUTE FUNCTION audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON approval_requests FOR EACH ROW EXECUTE FUNCTION audit_row('context_data');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON approval_decisions FOR EACH ROW EXECUTE FUNCTION audit_row();

-- Sums of one invoice, checked where it lies. A subtotal that is not stated counts as agreeing, a total
-- does not. A discount is a fraction of the price.
-- Each line was rounded by itself, so their sum may be off by one tolerance for each.
CREATE FUNCTION validate_invoice_totals_enhanced(invoice uuid, tolerance numeric DEFAULT 0.01)
RETURNS TABLE (is_valid boolean, line_count integer, line_errors integer, lines_total numeric, stated_subtotal numeric,
               subtotal_difference numeric, subtotal_match boolean, tax_amount numeric, calculated_total numeric,
               stated_total numeric, total_difference numeric, total_match boolean)
LANGUAGE sql STABLE AS $$
  WITH lines AS (
    SELECT count(*)::integer AS number,
           count(*) FILTER (WHERE l.line_total IS NULL OR abs(l.quantity * l.unit_price * (1 - coalesce(l.unit_price_discount, 0))
                                                              - l.line_total) > tolerance)::integer AS wrong,
           CASE WHEN bool_and(l.line_total IS NOT NULL) THEN sum(l.line_total) END AS total
    FROM invoice_line_items l WHERE l.invoice_id = invoice
  ), sums AS (
    SELECT l.number, l.wrong, l.total AS lines_total, i.subtotal, i.total_amount,
           coalesce(i.tax_amount, 0) AS tax, l.total - i.subtotal AS subtotal_off,
           coalesce(i.subtotal, l.total) + coalesce(i.tax_amount, 0) + coalesce(i.freight, 0) AS calculated
    FROM invoices i CROSS JOIN lines l WHERE i.id = invoice
  ), verdict AS (
    SELECT s.*, coalesce(abs(s.subtotal_off) <= tolerance * greatest(s.number, 1), true) AS subtotal_fits,
           coalesce(abs(s.calculated - s.total_amount) <= tolerance, false) AS total_fits FROM sums s
  )
  SELECT v.wrong = 0 AND v.number > 0 AND v.subtotal_fits AND v.total_fits, v.number, v.wrong, v.lines_total, v.subtotal,
         v.subtotal_off, v.subtotal_fits, v.tax, v.calculated, v.total_amount, v.calculated - v.total_amount, v.total_fits
  FROM verdict v
$$;
CREATE FUNCTION validate_invoice_totals(invoice uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT is_valid FROM validate_invoice_totals_enhanced(invoice)
$$;
