-- Who bears the roles that the steps of approvals name. A role that nobody bears is not kept here: everybody may speak for it.
CREATE TABLE approver_roles (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  role       varchar(30) NOT NULL CHECK (role IN ('ap_clerk', 'ap_manager', 'controller', 'cfo', 'finance_director', 'auditor',
             'system_admin')),
  granted_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (role, user_id)
);
CREATE INDEX approver_roles_user ON approver_roles (user_id);
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON approver_roles FOR EACH ROW EXECUTE FUNCTION audit_row();
