// The writers behind make_writer().
#pragma once

#include "tasks/export/writer.hpp"

namespace celeriac {

std::unique_ptr<RecordWriter> make_csv_writer(const std::string& path,
                                              const std::vector<ExportColumn>& columns);
std::unique_ptr<RecordWriter> make_json_writer(const std::string& path,
                                               const std::vector<ExportColumn>& columns, bool lines);
std::unique_ptr<RecordWriter> make_xlsx_writer(const std::string& path,
                                               const std::vector<ExportColumn>& columns);

}  // namespace celeriac
