-- A document may be read again after people corrected what was read first: what they set is theirs, and no later reading changes it.
-- A session that acts for a person says so: set_config('celeriac.by_person', 'yes', true).
ALTER TABLE invoices ADD COLUMN corrected_fields text[] NOT NULL DEFAULT '{}';
ALTER TABLE invoice_line_items ADD COLUMN corrected_fields text[] NOT NULL DEFAULT '{}';

-- Arguments of the trigger: the columns that are read from documents.
CREATE FUNCTION note_corrections() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.corrected_fields := ARRAY(
    SELECT f FROM unnest(TG_ARGV) AS f
     WHERE f = ANY (OLD.corrected_fields) OR to_jsonb(NEW) -> f IS DISTINCT FROM to_jsonb(OLD) -> f ORDER BY f);
  RETURN NEW;
END $$;
CREATE TRIGGER corrections BEFORE UPDATE ON invoices
  FOR EACH ROW WHEN (current_setting('celeriac.by_person', true) = 'yes')
  EXECUTE FUNCTION note_corrections('invoice_number', 'invoice_date', 'due_date', 'ship_date', 'vendor_name', 'vendor_tax_id',
    'buyer_name', 'account_number', 'po_number', 'currency', 'subtotal', 'tax_amount', 'freight', 'total_amount');
CREATE TRIGGER corrections BEFORE UPDATE ON invoice_line_items
  FOR EACH ROW WHEN (current_setting('celeriac.by_person', true) = 'yes')
  EXECUTE FUNCTION note_corrections('item_number', 'description', 'quantity', 'unit_of_measure', 'unit_price', 'line_total');

DROP TRIGGER audit ON invoices;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON invoices FOR EACH ROW
  EXECUTE FUNCTION audit_row('workflow_data', 'validation_task_id', 'validation_sent_at', 'corrected_fields');
-- Their creation is the invoice's own; what becomes of them later is told line by line.
CREATE TRIGGER audit AFTER UPDATE OR DELETE ON invoice_line_items FOR EACH ROW EXECUTE FUNCTION audit_row('corrected_fields');
