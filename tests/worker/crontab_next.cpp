// For crontab_property.py: reads lines "<minute> <hour> <day of month> <month> <day of week>|<zone>|<Unix
// seconds>" and prints the next time of each, or "error: ...".
#include "worker/beat/crontab.hpp"

#include <cstdlib>
#include <iostream>

int main() {
  using namespace celeriac;
  for (std::string line; std::getline(std::cin, line);) {
    const auto first = line.find('|'), second = line.find('|', first + 1);
    if (second == std::string::npos) return EXIT_FAILURE;
    const auto crontab = Crontab::from_string(line.substr(0, first));
    const auto zone = Zone::find(line.substr(first + 1, second - first - 1));
    if (!crontab || !zone) {
      std::cout << "error: " << (crontab ? zone.error().what : crontab.error().what) << "\n";
      continue;
    }
    const double after = std::strtod(line.c_str() + second + 1, nullptr);
    std::cout << static_cast<long long>(crontab->next(after, *zone)) << "\n";
  }
}
