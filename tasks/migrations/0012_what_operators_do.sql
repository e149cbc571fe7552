-- What people do to queues and tasks from the pages: a row before it is done, ended after it. The broker takes no part in a transaction,
-- so a row that says 'asked' for long tells of an action that was begun and whose end nobody saw.
CREATE TABLE operator_actions (
  id         uuid PRIMARY KEY,
  actor      varchar(255) NOT NULL CHECK (actor <> ''),                     -- the caller's id
  action     varchar(40) NOT NULL CHECK (action <> ''),                     -- "purge", "pause", "retry", ...
  target     text NOT NULL,                                                 -- a queue, a task's id; '' for all
  request_id varchar(64) NOT NULL,                                          -- as the log has it
  state      varchar(10) NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'done', 'failed')),
  detail     jsonb NOT NULL DEFAULT '{}',                                   -- {"count": 3}, {"note": ...}, {"error": ...}
  asked_at   timestamptz NOT NULL DEFAULT now(),
  ended_at   timestamptz,
  CHECK ((state = 'asked') = (ended_at IS NULL))
);
CREATE INDEX operator_actions_newest ON operator_actions (asked_at DESC);

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON operator_actions FOR EACH ROW EXECUTE FUNCTION audit_row();

-- Of tables whose trigger names no columns to leave out, TG_ARGV is null, and so were the values told of: changes of vendors, of decisions
-- and of five other tables left no row, their creation an empty one.
CREATE OR REPLACE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  hidden text[] := coalesce(TG_ARGV, '{}');
  before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - 'updated_at' - hidden END;
  after  jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'updated_at' - hidden END;
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
