// main.cpp: the tests of larder.hpp, by doctest. Built once, for all versions of the other files.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
