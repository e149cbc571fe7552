// What the schema promises by itself, whoever writes.
#include "tasks/store/audit.hpp"
#include "tasks/store/migrate.hpp"
#include "tasks/validation/status.hpp"
#include "tests/tasks/store_database.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace celeriac::testing;

namespace {

constexpr const char* invoice_id = "00000000-0000-4000-8000-000000000001";
constexpr const char* user_id = "00000000-0000-4000-8000-0000000000aa";

Database migrated() {
  Database database(fresh_database());
  migrate(database, invoice_migrations());
  return database;
}

std::string one(Database& database, const std::string& sql) {
  const Rows rows = database.run(sql);
  return rows.empty() ? "" : rows.str(0, 0);
}

bool refused(Database& database, const std::string& sql) {
  try {
    database.run(sql);
    return false;
  } catch (const DatabaseError& error) {
    CHECK(error.kind == SqlFailure::integrity);
    return true;
  }
}

void insert_invoice(Database& database, const std::string& status = "RECEIVED") {
  database.run(
      "INSERT INTO invoices (id, status, vendor_name, total_amount) VALUES ($1, $2, 'Muster GmbH', 119)",
      {std::string(invoice_id), status});
}

}  // namespace

TEST_CASE("the database and the workers allow the same changes of an invoice's state") {
  Database database = migrated();
  for (int from = 0; from < 7; ++from) {
    for (int to = 0; to < 7; ++to) {
      if (from == to) continue;
      const std::string old_label(to_string(static_cast<InvoiceStatus>(from))),
          new_label(to_string(static_cast<InvoiceStatus>(to)));
      CAPTURE(old_label);
      CAPTURE(new_label);
      database.run("DELETE FROM invoices");
      insert_invoice(database, old_label);
      CHECK(refused(database, "UPDATE invoices SET status = '" + new_label + "'") !=
            may_become(static_cast<InvoiceStatus>(from), static_cast<InvoiceStatus>(to)));
    }
  }
}

TEST_CASE("every change of an audited row is recorded with its author, and vanishes with its transaction") {
  Database database = migrated();
  insert_invoice(database);
  database.run("SELECT ensure_user($1)", {std::string(user_id)});
  database.run("DELETE FROM audit_log");
  database.transaction([&] {
    audit_as(database, {"anna", "corrected", "task-1", user_id});
    database.run("UPDATE invoices SET total_amount = 120, updated_at = now()");
  });
  CHECK(one(database,
            "SELECT concat_ws(' ', changed_by, reason, task_id, user_id, table_name, record_id, action,"
            " changed_fields, old_values, new_values) FROM audit_log") ==
        std::string("anna corrected task-1 ") + user_id + " invoices " + invoice_id +
            R"( UPDATE {total_amount} {"total_amount": 119} {"total_amount": 120})");
  database.run("UPDATE invoices SET updated_at = now(), total_amount = 120");  // says nothing new
  CHECK(one(database, "SELECT count(*) FROM audit_log") == "1");
  CHECK_THROWS(database.transaction([&] {
    database.run("UPDATE invoices SET total_amount = 121");
    throw std::runtime_error("no");
  }));
  CHECK(one(database, "SELECT count(*) FROM audit_log") == "1");
  database.run("DELETE FROM invoices");
  CHECK(one(database, "SELECT action || ' ' || changed_by FROM audit_log ORDER BY created_at DESC LIMIT 1") ==
        "DELETE system");
}

TEST_CASE("no audit row holds a secret") {
  Database database = migrated();
  database.run("INSERT INTO users (id, email, hashed_password) VALUES ($1, 'a@b.example', 'hunter2')",
               {std::string(user_id)});
  database.run(
      "INSERT INTO email_credentials (id, user_id, provider, email_address, secret_encrypted, key_id)"
      " VALUES (gen_random_uuid(), $1, 'imap', 'a@b.example', 'hunter2', 'k')",
      {std::string(user_id)});
  CHECK(one(database, "SELECT count(*) FROM audit_log") == "2");
  CHECK(one(database,
            "SELECT count(*) FROM audit_log WHERE new_values::text LIKE '%hunter2%'"
            " OR new_values ? 'secret_encrypted' OR new_values ? 'hashed_password'") == "0");
}

TEST_CASE("rows of nobody, of two states and of impossible amounts are refused") {
  Database database = migrated();
  insert_invoice(database);
  CHECK(refused(database, "UPDATE invoices SET uploaded_by_user_id = gen_random_uuid()"));
  CHECK(refused(database, "UPDATE invoices SET duplicate_of = id"));
  CHECK(refused(database,
                "INSERT INTO outbox (id, effect_key, kind, target, payload, state)"
                " VALUES (gen_random_uuid(), 'k', 'task', 't', '{}', 'sent')"));
  CHECK(refused(database,
                "INSERT INTO export_jobs (id, format, status, completed_at)"
                " VALUES (gen_random_uuid(), 'CSV', 'COMPLETED', now())"));
  CHECK(refused(database, "INSERT INTO llm_budgets (id, period) VALUES (gen_random_uuid(), 'DAY')"));
  const std::string fault =
      "INSERT INTO exceptions (id, invoice_id, reason_code, category, severity, details_json)"
      " VALUES (gen_random_uuid(), '" +
      std::string(invoice_id) + "', 'TOTAL_MISMATCH', 'MATH', 'error', '{}')";
  CHECK_FALSE(refused(database, fault));
  CHECK(refused(database, fault));                                        // open already
  CHECK(refused(database, "UPDATE exceptions SET status = 'RESOLVED'"));  // by whom?
  database.run("UPDATE exceptions SET status = 'RESOLVED', resolved_by = 'anna', resolved_at = now()");
  CHECK_FALSE(refused(database, fault));
}

TEST_CASE("names and numbers are compared without case, punctuation and legal form") {
  Database database = migrated();
  CHECK(one(database,
            "SELECT name_key('  Müller & Söhne GmbH ') IS NOT DISTINCT FROM name_key('MüLLER & SöHNE, "
            "gmbh')") == "t");
  CHECK(one(database, "SELECT name_key('ACME Inc.') || ' ' || name_key('Acme')") == "acme acme");
  CHECK(one(database, "SELECT number_key('re-2024/001 ')") == "RE2024001");
  CHECK(one(database, "SELECT number_key(' - ') IS NULL") == "t");
}

TEST_CASE("the nearest embedding is found whether or not the server has pgvector") {
  Database database = migrated();
  database.run(
      "INSERT INTO embeddings (record_id, kind, model, vector) VALUES"
      " ('00000000-0000-4000-8000-000000000001', 'product_name', 'm', '{1,0,0}'),"
      " ('00000000-0000-4000-8000-000000000002', 'product_name', 'm', '{0.8,0.6,0}'),"
      " ('00000000-0000-4000-8000-000000000003', 'product_name', 'm', '{0,1}'),"
      " ('00000000-0000-4000-8000-000000000004', 'product_name', 'other', '{1,0,0}')");
  const Rows rows = database.run(
      "SELECT right(record_id::text, 1), round(similarity::numeric, 3)"
      " FROM nearest_embeddings('product_name', 'm', '{2,0,0}')");
  REQUIRE(rows.size() == 2);
  CHECK(rows.str(0, 0) + " " + rows.str(0, 1) == "1 1.000");
  CHECK(rows.str(1, 0) + " " + rows.str(1, 1) == "2 0.800");
  CHECK(refused(database,
                "INSERT INTO embeddings (record_id, kind, model, vector)"
                " VALUES (gen_random_uuid(), 'product_name', 'm', '{1,NULL}')"));
}

TEST_CASE("an invoice's sums are checked where it lies") {
  Database database = migrated();
  insert_invoice(database);
  const auto verdict = [&] {
    const Rows rows = database.run(
        "SELECT concat_ws(' ', is_valid, line_errors, lines_total, subtotal_match, calculated_total, "
        "total_difference)"
        " FROM validate_invoice_totals_enhanced($1)",
        {std::string(invoice_id)});
    return rows.str(0, 0);
  };
  CHECK(verdict() == "f 0 t");  // no lines: nothing to agree with
  database.run("UPDATE invoices SET subtotal = 100.00, tax_amount = 19.00, total_amount = 119.00");
  database.run(
      "INSERT INTO invoice_line_items (id, invoice_id, line_number, quantity, unit_price, line_total) VALUES"
      " (gen_random_uuid(), $1, 1, 3, 20.00, 60.00), (gen_random_uuid(), $1, 2, 2.5, 16.00, 40.00)",
      {std::string(invoice_id)});
  CHECK(verdict() == "t 0 100.00 t 119.00 0.00");
  CHECK(one(database, "SELECT validate_invoice_totals(id) FROM invoices") == "t");
  database.run("UPDATE invoices SET total_amount = 119.02");
  CHECK(verdict() == "f 0 100.00 t 119.00 -0.02");
  database.run("UPDATE invoices SET total_amount = 119.01");
  CHECK(verdict() == "t 0 100.00 t 119.00 -0.01");
  database.run("UPDATE invoice_line_items SET unit_price = 16.01 WHERE line_number = 2");
  CHECK(verdict() == "f 1 100.00 t 119.00 -0.01");
}
