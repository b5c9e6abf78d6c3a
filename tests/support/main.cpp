// The test runner: doctest's implementation and main, once for all test programs. Both macros, because the
// precompiled header has read doctest's declarations already.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
