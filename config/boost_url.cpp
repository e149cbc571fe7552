// Boost.URL is header-only through this one file: its implementation is compiled here.
#include <boost/url/src.hpp>
