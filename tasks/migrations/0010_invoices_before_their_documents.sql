-- Other front ends insert an invoice when its upload arrives: RECEIVED, with the document's hash and nothing
-- else. The run that reads the document completes that row.
ALTER TABLE invoices DROP CONSTRAINT invoices_check;
ALTER TABLE invoices ADD CHECK (file_hash IS NULL OR file_storage_id IS NOT NULL OR status IN ('RECEIVED', 'EXCEPTION'));
