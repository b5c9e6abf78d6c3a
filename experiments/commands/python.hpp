// The Python that draws the figures: any of version 3.11 or newer with the modules that they import.
#pragma once

#include <string>

namespace hone::experiments {

/// A command that starts Python. `chosen` is the value of --python; when it is empty HONE_PYTHON counts, and when that is
/// empty too, python3 in PATH and then the Debian packages' own, whichever has every module first.
/// errors  OptionError naming what each candidate lacks, how to install it and how to choose another Python
/// cost    starts each candidate once, about 0.1 s
std::string figures_python(const std::string& chosen);

}  // namespace hone::experiments
