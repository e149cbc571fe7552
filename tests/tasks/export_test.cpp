// Exports: what a file looks like, which templates and filters are refused, and that a job's end is one
// however often it is run.
#include "tasks/export/csv.hpp"
#include "tasks/export/export_invoice.hpp"
#include "tasks/export/export_job.hpp"
#include "tasks/export/selection.hpp"
#include "tasks/export/template.hpp"
#include "tasks/export/writer.hpp"
#include "tests/tasks/process_fixture.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

using namespace celeriac;
using testing::InvoiceStage;

namespace {

constexpr const char* job_id = "00000000-0000-4000-8000-0000000000e1";

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

std::string written(ExportFormat format, const std::vector<ExportColumn>& columns,
                    const std::vector<std::vector<Cell>>& rows) {
  const auto path =
      (std::filesystem::temp_directory_path() / ("celeriac-writer-" + std::to_string(::getpid()))).string();
  const auto writer = make_writer(format, path, columns);
  for (const auto& row : rows) writer->add(row);
  writer->finish({rows.size(), "2024-03-01T00:00:00Z"});
  const std::string text = read(path);
  std::filesystem::remove(path);
  return text;
}

ExportColumn column(std::string name, std::string_view field) {
  ExportColumn out;
  out.name = std::move(name);
  out.field = find_export_field(field);
  out.kind = out.field->kind;
  return out;
}

struct Desk {
  InvoiceStage stage;
  Database database{stage.config.database_url};
  std::unique_ptr<Storage> storage = make_storage(stage.config.storage_root);

  std::string invoice(const std::string& bytes) {
    const std::string id = stage.process(stage.document("%PDF " + bytes), "task " + bytes).at("invoice_id");
    stage.sql("UPDATE invoices SET status = 'VALIDATED', invoice_number = '" + bytes + "' WHERE id = '" + id +
              "'");
    return id;
  }
  Json run(const std::string& id = job_id) {
    return stage.in_context(
        id, [&](Context& context) { return run_export_job(context, database, *storage, {}, id); });
  }
  Json one(const std::string& id, const std::string& format = "json", const std::string& to = "default") {
    return stage.in_context("export", [&](Context& context) {
      return export_invoice(context, database, *storage, id, format, to);
    });
  }
  std::string failure(const std::function<void()>& body) {
    try {
      body();
    } catch (const TaskError& error) {
      return error.info().type;
    }
    return {};
  }
  void order(const std::string& format, const Json& filters = Json::object(),
             const std::string& layout = "standard") {
    ExportOrder order;
    order.id = job_id;
    order.format = format;
    order.filters = filters;
    order.template_name = layout;
    create_export_job(database, order);
  }
  std::string content(const Json& result) {
    return storage->get(result.at("file_path").get<std::string>(), 1 << 20);
  }
};

}  // namespace

TEST_CASE("a CSV field is quoted where it must be, and no text runs as a formula") {
  CHECK(csv_field("plain", CellKind::text) == "plain");
  CHECK(csv_field("a,b", CellKind::text) == "\"a,b\"");
  CHECK(csv_field("say \"hi\"", CellKind::text) == "\"say \"\"hi\"\"\"");
  CHECK(csv_field("two\r\nlines", CellKind::text) == "\"two\r\nlines\"");
  CHECK(csv_field(" edge", CellKind::text) == "\" edge\"");
  for (const char* formula : {"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"}) {
    CAPTURE(formula);
    CHECK(csv_field(formula, CellKind::text).find('\'') != std::string::npos);
  }
  CHECK(csv_field("=a,b", CellKind::text) == "\"'=a,b\"");
  CHECK(csv_field("-12.50", CellKind::number) == "-12.50");
}

TEST_CASE("each format keeps every digit, every character and every gap") {
  const std::vector<ExportColumn> columns = {column("Name", "vendor_name"), column("Total", "total_amount"),
                                             column("Day", "invoice_date"),
                                             column("Review", "requires_review")};
  const std::vector<std::vector<Cell>> rows = {
      {"M\xC3\xBCller, \"x\"", "99999999999999.999999", "2024-03-01", "t"},
      {std::nullopt, std::nullopt, std::nullopt, "f"}};
  CHECK(written(ExportFormat::csv, columns, rows) ==
        "Name,Total,Day,Review\r\n\"M\xC3\xBCller, "
        "\"\"x\"\"\",99999999999999.999999,2024-03-01,true\r\n,,,false\r\n");
  const std::string lines = written(ExportFormat::jsonl, columns, rows);
  CHECK(lines.find("\"Total\": 99999999999999.999999") != std::string::npos);
  CHECK(std::ranges::count(lines, '\n') == 2);
  CHECK(lines.find("\"Name\": null") != std::string::npos);
  const auto document = parse_json(written(ExportFormat::json, columns, rows));
  REQUIRE(document.has_value());
  CHECK(document->at("records").size() == 2);
  CHECK(document->at("summary").at("records") == 2);
  CHECK(parse_json(written(ExportFormat::json, columns, {}))->at("records").empty());
  CHECK(written(ExportFormat::xlsx, columns, rows).starts_with("PK"));
  CHECK_THROWS_AS(make_writer(ExportFormat::csv, "/nowhere/x.csv", columns), ExportWriteError);
}

TEST_CASE("a full disk is an error and not a short file") {
  const std::vector<ExportColumn> columns = {column("Name", "vendor_name")};
  CHECK_THROWS_AS(
      [&] {
        const auto writer = make_writer(ExportFormat::csv, "/dev/full", columns);
        writer->add(std::vector<Cell>{std::string(1 << 20, 'x')});
        writer->finish({});
      }(),
      ExportWriteError);
}

TEST_CASE("templates say what is wrong with them") {
  const auto fault = [](const Json& mappings, std::string_view level = "invoice") {
    const auto layout = read_export_template("t", level, mappings);
    return layout ? std::string() : layout.error().what;
  };
  CHECK(fault(Json::array()) == "field_mappings must be an array of columns");
  CHECK(fault({{{"source_field", "nonsense"}}}) == "field_mappings[0]: there is no field 'nonsense'");
  CHECK(fault({{{"source_field", "description"}}}).find("is a line's") != std::string::npos);
  CHECK(fault({{{"source_field", "description"}}}, "line") == "");
  CHECK(fault({{{"source_field", "total"}, {"transform_function", "rot13"}}}).find("no transform") !=
        std::string::npos);
  CHECK(fault({{{"source_field", "total"}, {"transform_function", "uppercase"}}}).find("does not fit") !=
        std::string::npos);
  CHECK(fault({{{"source_field", "total"}}, {{"source_field", "total"}}}) == "two columns are named 'total'");
  for (const char* name : {"standard", "detailed", "accounting", "lines"})
    CHECK(built_in_template(name) != nullptr);
  CHECK(find_export_field("header.invoice_no")->name == "invoice_number");
}

TEST_CASE("filters say what is wrong with them, and nothing of them is ever read as SQL") {
  const auto fault = [](const Json& filters) {
    const auto selection = read_selection(filters);
    return selection ? std::string() : selection.error().what;
  };
  CHECK(fault(Json::object()) == "");
  CHECK(fault({{"status", {"VALIDATED", "READY"}}, {"date_from", "2024-01-01"}}) == "");
  CHECK(fault({{"status", "'; DROP TABLE invoices; --"}}).find("does not fit") != std::string::npos);
  CHECK(fault({{"date_from", "2024-02-30"}}) != "");
  CHECK(fault({{"invoice_ids", {"1"}}}) != "");
  CHECK(fault({{"nonsense", 1}}) == "there is no filter 'nonsense'");
  CHECK(fault(Json::array()) == "filters must be an object");
  const auto selection = read_selection({{"currency", "x' OR 'a'='a"}});
  REQUIRE(selection.has_value());
  CHECK(selection->where.find("OR") == std::string::npos);
}

TEST_CASE("a job selects, writes and completes once, however often its message comes") {
  Desk desk;
  for (const char* number : {"R-1", "=2+3", "R-3"}) desk.invoice(number);
  desk.order("csv", {{"status", "VALIDATED"}});
  desk.order("csv");  // the same id again is the same job
  const Json result = desk.run();
  CHECK(result.at("status") == "completed");
  CHECK(result.at("total_records") == 3);
  const std::string text = desk.content(result);
  CHECK(std::ranges::count(text, '\n') == 4);
  CHECK(text.find(",'=2+3,") != std::string::npos);
  CHECK(desk.run() == result);
  CHECK(desk.stage.sql("SELECT count(*) FROM export_jobs WHERE status = 'COMPLETED' AND progress = 100") ==
        "1");
  CHECK(desk.stage.sql("SELECT count(*) FROM export_metrics") == "1");
}

TEST_CASE("a run that vanished is begun anew and ends in the same file") {
  Desk desk;
  desk.invoice("R-1");
  desk.order("jsonl");
  desk.stage.sql("UPDATE export_jobs SET status = 'PROCESSING', processed_records = 7, started_at = now()");
  const Json result = desk.run();
  CHECK(result.at("total_records") == 1);
  CHECK(desk.stage.sql("SELECT retry_count FROM export_jobs") == "1");
}

TEST_CASE("several runs of one job at once take turns") {
  Desk desk;
  desk.invoice("R-1");
  desk.order("csv");
  std::vector<std::thread> runs;
  std::vector<Json> results(4);
  for (std::size_t i = 0; i < results.size(); ++i) {
    runs.emplace_back([&, i] {
      Database database(desk.stage.config.database_url);
      const auto storage = make_storage(desk.stage.config.storage_root);
      results[i] = desk.stage.in_context(
          job_id, [&](Context& context) { return run_export_job(context, database, *storage, {}, job_id); });
    });
  }
  for (auto& run : runs) run.join();
  for (const auto& result : results) CHECK(result == results[0]);
  CHECK(desk.stage.sql("SELECT count(*) FROM export_audit_logs WHERE event_type = 'job_started'") == "1");
}

TEST_CASE("a cancelled job writes nothing more, and an unknown one is an error") {
  Desk desk;
  desk.order("csv");
  desk.stage.sql("UPDATE export_jobs SET status = 'CANCELLED', completed_at = now()");
  CHECK(desk.run().at("status") == "cancelled");
  CHECK(desk.failure([&] { desk.run("00000000-0000-4000-8000-0000000000ff"); }) == "ExportJobNotFound");
}

TEST_CASE("what cannot be exported is refused before a job exists") {
  Desk desk;
  CHECK(desk.failure([&] { desk.order("pdf"); }) == "InvalidExport");
  CHECK(desk.failure([&] { desk.order("csv", {{"colour", "red"}}); }) == "InvalidExport");
  CHECK(desk.failure([&] { desk.order("csv", Json::object(), "no such"); }) == "InvalidExport");
  CHECK(desk.stage.sql("SELECT count(*) FROM export_jobs") == "0");
}

TEST_CASE("a template of one's own maps, transforms, falls back and leaves out what lacks a required field") {
  Desk desk;
  desk.invoice("r-1");
  desk.stage.sql("UPDATE invoices SET due_date = NULL, po_number = NULL");
  desk.stage.sql(
      "INSERT INTO export_templates (id, name, format, field_mappings) VALUES (gen_random_uuid(), 'mine', "
      "'CSV', '["
      "{\"source_field\": \"header.invoice_no\", \"target_field\": \"No\", \"transform_function\": "
      "\"uppercase\"},"
      "{\"source_field\": \"po_no\", \"target_field\": \"Order\", \"default_value\": \"none\"},"
      "{\"source_field\": \"total\", \"target_field\": \"Sum\", \"transform_function\": "
      "\"currency_format\"}]')");
  desk.order("csv", Json::object(), "mine");
  CHECK(desk.content(desk.run()) == "No,Order,Sum\r\nR-1,none,EUR 119.00\r\n");
  desk.stage.sql("DELETE FROM export_jobs");
  desk.stage.sql(
      "UPDATE export_templates SET field_mappings = '[{\"source_field\": \"due_date\", \"required\": "
      "true}]'");
  desk.order("csv", Json::object(), "mine");
  const Json result = desk.run();
  CHECK(result.at("total_records") == 0);
  CHECK(result.at("skipped_records") == 1);
}

TEST_CASE("pages follow each other without a gap or a repeat") {
  Desk desk;
  desk.invoice("first");
  desk.stage.sql(
      "INSERT INTO invoices (id, invoice_number, created_at) SELECT gen_random_uuid(), 'n' || n, now() - "
      "interval '1 hour'"
      " FROM generate_series(1, 2500) n");  // all at one moment
  desk.order("csv");
  desk.stage.sql("UPDATE export_jobs SET batch_size = 7");
  CHECK(desk.run().at("total_records") == 2501);
}

TEST_CASE("one invoice is one file for each content, format and destination, and becomes STAGED") {
  Desk desk;
  const auto id = desk.invoice("R-1");
  const Json first = desk.one(id);
  CHECK(desk.one(id) == first);
  CHECK(desk.one(id, "csv") != first);
  CHECK(desk.one(id, "json", "erp") != first);
  CHECK(desk.stage.sql("SELECT count(*) || ' ' || (SELECT status FROM invoices) FROM staged_exports") ==
        "3 STAGED");
  const auto document = parse_json(desk.storage->get(first.at("storage_url").get<std::string>(), 1 << 20));
  REQUIRE(document.has_value());
  CHECK(document->at("invoice").at("header").at("total") == "119.00");
  CHECK(document->at("invoice").at("lines").size() == 2);
  CHECK(desk.failure([&] { desk.one(id, "pdf"); }) == "InvalidExport");
  CHECK(desk.failure([&] { desk.one("00000000-0000-4000-8000-0000000000ff"); }) == "InvoiceNotFound");
  const std::string raw = desk.stage.process(desk.stage.document("%PDF raw"), "task raw").at("invoice_id");
  CHECK(desk.failure([&] { desk.one(raw); }) == "InvoiceNotReady");
}
