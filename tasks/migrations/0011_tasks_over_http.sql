-- Tasks accepted over HTTP: sent by the front ends, each of which sends what another left behind.
ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('task', 'webhook', 'mail', 'delivery', 'http'));
