# Writes OUTPUT, a C++ file that holds the text of dashboard.css and dashboard.js of SOURCES.
file(READ ${SOURCES}/dashboard.css style)
file(READ ${SOURCES}/dashboard.js script)
file(WRITE ${OUTPUT} "#include \"http/pages/html.hpp\"

namespace celeriac::http {

const char* const dashboard_style = R\"asset(${style})asset\";
const char* const dashboard_script = R\"asset(${script})asset\";

}  // namespace celeriac::http
")
