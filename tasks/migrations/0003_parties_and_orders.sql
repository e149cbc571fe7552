-- What an invoice is compared with: vendors, orders, receipts, and the catalogue.

-- Names and numbers as they are compared: without case, punctuation and legal form.
CREATE FUNCTION name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT nullif(regexp_replace(
    regexp_replace(lower(btrim(name)), '[[:space:],.]+(gmbh|ag|kg|inc|llc|ltd|limited|corp|corporation|company|co|plc|bv|sarl|sas|sa|spa|srl|oy|ab)[.]?$', ''),
    '[[:space:][:punct:]]+', '', 'g'), '')
$$;
CREATE FUNCTION number_key(number text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT nullif(upper(regexp_replace(number, '[[:space:][:punct:]]+', '', 'g')), '')
$$;

CREATE TYPE vendorstatus AS ENUM ('ACTIVE', 'INACTIVE', 'PENDING');
CREATE TYPE postatus AS ENUM ('DRAFT', 'SENT', 'PARTIAL', 'RECEIVED', 'CLOSED', 'CANCELLED');

CREATE TABLE vendors (
  id                 uuid PRIMARY KEY,
  name               varchar(255) NOT NULL CHECK (name <> ''),
  name_key           text GENERATED ALWAYS AS (name_key(name)) STORED,
  tax_id             varchar(50) UNIQUE,
  tax_key            text GENERATED ALWAYS AS (number_key(tax_id)) STORED,
  currency           char(3) NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
  email              varchar(320) CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  phone              varchar(50),
  address            text,
  active             boolean NOT NULL DEFAULT true,
  status             vendorstatus NOT NULL DEFAULT 'ACTIVE',
  payment_terms_days integer NOT NULL DEFAULT 30 CHECK (payment_terms_days BETWEEN 0 AND 3650),
  credit_limit       amount CHECK (credit_limit >= 0),
  max_invoice_amount amount CHECK (max_invoice_amount >= 0),
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX vendors_name ON vendors (name_key);
CREATE INDEX vendors_tax ON vendors (tax_key);
CREATE INDEX vendors_active ON vendors (active, status);

CREATE TABLE purchase_orders (
  id            uuid PRIMARY KEY,
  po_no         varchar(100) NOT NULL UNIQUE CHECK (po_no <> ''),
  po_key        text GENERATED ALWAYS AS (number_key(po_no)) STORED,
  vendor_id     uuid NOT NULL REFERENCES vendors (id),
  lines_json    jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(lines_json) = 'array'),
  total_amount  amount NOT NULL CHECK (total_amount >= 0),
  currency      char(3) NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
  status        postatus NOT NULL DEFAULT 'DRAFT',
  order_date    date NOT NULL,
  expected_date date CHECK (expected_date >= order_date),
  created_by    varchar(255),
  approved_by   varchar(255),
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX purchase_orders_key ON purchase_orders (po_key);
CREATE INDEX purchase_orders_vendor ON purchase_orders (vendor_id, status);

CREATE TABLE goods_receipt_notes (
  id          uuid PRIMARY KEY,
  grn_no      varchar(100) NOT NULL UNIQUE CHECK (grn_no <> ''),
  po_id       uuid NOT NULL REFERENCES purchase_orders (id),
  lines_json  jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(lines_json) = 'array'),
  received_at timestamptz NOT NULL,
  carrier     varchar(100),
  tracking_no varchar(100),
  received_by varchar(255),
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX goods_receipt_notes_po ON goods_receipt_notes (po_id);

CREATE TABLE sales_territories (
  territory_id        integer PRIMARY KEY,
  name                varchar(100) NOT NULL,
  country_region_code varchar(3),
  territory_group     varchar(50)
);
CREATE TABLE companies (
  id             uuid PRIMARY KEY,
  customer_id    integer UNIQUE,
  company_type   varchar(50),
  company_name   varchar(255) NOT NULL CHECK (company_name <> ''),
  name_key       text GENERATED ALWAYS AS (name_key(company_name)) STORED,
  account_number varchar(100),
  tax_id         varchar(50),
  street_address text,
  city           varchar(100),
  state_province varchar(100),
  postal_code    varchar(20),
  country_region varchar(100),
  phone          varchar(50),
  email          varchar(320),
  website        text,
  territory_id   integer REFERENCES sales_territories (territory_id),
  is_active      boolean NOT NULL DEFAULT true,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX companies_name ON companies (name_key);
CREATE TABLE salespersons (
  id             uuid PRIMARY KEY,
  salesperson_id integer UNIQUE,
  name           varchar(255) NOT NULL,
  email          varchar(320) UNIQUE,
  employee_id    varchar(50) UNIQUE,
  phone          varchar(50),
  department     varchar(100),
  territory_id   integer REFERENCES sales_territories (territory_id),
  is_active      boolean NOT NULL DEFAULT true,
  created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE product_categories (
  category_id integer PRIMARY KEY,
  name        varchar(100) NOT NULL UNIQUE
);
CREATE TABLE product_subcategories (
  subcategory_id integer PRIMARY KEY,
  category_id    integer NOT NULL REFERENCES product_categories (category_id),
  name           varchar(100) NOT NULL,
  UNIQUE (category_id, name)
);
CREATE TABLE products (
  id             uuid PRIMARY KEY,
  item_number    varchar(100) NOT NULL UNIQUE CHECK (item_number <> ''),
  name           varchar(255) NOT NULL,
  description    text,
  subcategory_id integer REFERENCES product_subcategories (subcategory_id),
  color          varchar(50),
  size           varchar(50),
  standard_cost  amount,
  list_price     amount,
  is_active      boolean NOT NULL DEFAULT true,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE invoices
  ADD COLUMN vendor_key text GENERATED ALWAYS AS (name_key(vendor_name)) STORED,
  ADD COLUMN number_key text GENERATED ALWAYS AS (number_key(invoice_number)) STORED,
  ADD COLUMN duplicate_of uuid REFERENCES invoices (id) ON DELETE SET NULL,
  ADD COLUMN purchase_order_id uuid REFERENCES purchase_orders (id),
  ADD FOREIGN KEY (vendor_id) REFERENCES vendors (id),
  ADD FOREIGN KEY (customer_id) REFERENCES companies (id),
  ADD FOREIGN KEY (salesperson_id) REFERENCES salespersons (id),
  ADD FOREIGN KEY (territory_id) REFERENCES sales_territories (territory_id),
  ADD CHECK (duplicate_of <> id);
ALTER TABLE invoice_line_items ADD FOREIGN KEY (product_id) REFERENCES products (id);
CREATE INDEX invoices_vendor_number ON invoices (vendor_key, number_key);
CREATE INDEX invoices_vendor_amount ON invoices (vendor_key, total_amount);
CREATE INDEX invoices_vendor_unpaid ON invoices (vendor_id, currency) INCLUDE (total_amount) WHERE payment_status <> 'paid';
CREATE INDEX invoices_order ON invoices (purchase_order_id) WHERE purchase_order_id IS NOT NULL;
CREATE INDEX invoices_duplicates ON invoices (duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX invoices_created ON invoices (created_at, id);

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON vendors FOR EACH ROW EXECUTE FUNCTION audit_row();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON purchase_orders FOR EACH ROW EXECUTE FUNCTION audit_row('lines_json');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON goods_receipt_notes FOR EACH ROW EXECUTE FUNCTION audit_row('lines_json');

-- Meaning as numbers, for names of companies and products. One row per thing, kind and model; all
-- vectors of one kind and model have one length. Plain arrays, so that a server without pgvector
-- holds the same data; with pgvector, nearest_embeddings() uses its operator and index.
CREATE TABLE embeddings (
  record_id  uuid NOT NULL,
  kind       varchar(40) NOT NULL CHECK (kind IN ('company_name', 'company_address', 'product_name',
             'product_description', 'salesperson_name', 'invoice_content', 'documentation')),
  model      varchar(100) NOT NULL,
  vector     real[] NOT NULL CHECK (cardinality(vector) BETWEEN 1 AND 4096 AND array_position(vector, NULL) IS NULL),
  text       text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (kind, model, record_id)
);

CREATE FUNCTION cosine_similarity(a real[], b real[]) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN cardinality(a) = cardinality(b)
              THEN sum(x::float8 * y) / nullif(sqrt(sum(x::float8 * x)) * sqrt(sum(y::float8 * y)), 0) END
  FROM unnest(a, b) AS pair (x, y)
$$;

-- Makes nearest_embeddings() of what the server has and says which: 'pgvector' or 'arrays'.
-- May be called again after pgvector was installed.
CREATE FUNCTION choose_vector_search() RETURNS text LANGUAGE plpgsql AS $choose$
BEGIN
  BEGIN
    CREATE EXTENSION IF NOT EXISTS vector;
  EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege THEN
    NULL;  -- the plain function below answers the same, more slowly
  END;
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
    CREATE INDEX IF NOT EXISTS embeddings_1536 ON embeddings USING hnsw ((vector::vector(1536)) vector_cosine_ops)
      WHERE cardinality(vector) = 1536;
    CREATE OR REPLACE FUNCTION nearest_embeddings(of_kind text, of_model text, query real[], count integer DEFAULT 5)
    RETURNS TABLE (record_id uuid, similarity double precision) LANGUAGE plpgsql STABLE AS $body$
    BEGIN
      IF cardinality(query) = 1536 THEN
        RETURN QUERY SELECT e.record_id, 1 - (e.vector::vector(1536) <=> query::vector(1536)) FROM embeddings e
          WHERE e.kind = of_kind AND e.model = of_model AND cardinality(e.vector) = 1536
          ORDER BY e.vector::vector(1536) <=> query::vector(1536), e.record_id LIMIT count;
      ELSE
        RETURN QUERY SELECT e.record_id, 1 - (e.vector::vector <=> query::vector) FROM embeddings e
          WHERE e.kind = of_kind AND e.model = of_model AND cardinality(e.vector) = cardinality(query)
          ORDER BY e.vector::vector <=> query::vector, e.record_id LIMIT count;
      END IF;
    END $body$;
    RETURN 'pgvector';
  END IF;
  CREATE OR REPLACE FUNCTION nearest_embeddings(of_kind text, of_model text, query real[], count integer DEFAULT 5)
  RETURNS TABLE (record_id uuid, similarity double precision) LANGUAGE sql STABLE AS $body$
    SELECT e.record_id, cosine_similarity(e.vector, query) FROM embeddings e
    WHERE e.kind = of_kind AND e.model = of_model AND cardinality(e.vector) = cardinality(query)
    ORDER BY 2 DESC NULLS LAST, e.record_id LIMIT count
  $body$;
  RETURN 'arrays';
END $choose$;
SELECT choose_vector_search();
