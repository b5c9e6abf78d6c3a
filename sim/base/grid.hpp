// The integer grids that values are rounded to: what quantizers do and theories of their noise speak of.
#pragma once

namespace hone {

/// Integer grids; b bits, step s. The name is part of every recorded result, for equal bit labels
/// do not mean equal levels: restricted and full are ternary at 2 bits, the others have 4 levels.
enum class Grid {
  restricted,     ///< s = absmax/(2^(b-1)-1), codes ±(2^(b-1)-1)
  full,           ///< same step, codes -2^(b-1) … 2^(b-1)-1
  midrise,        ///< s = 2·absmax/(2^b-1), codes -2^(b-1) … 2^(b-1)-1
  no_clip,        ///< s = max(-min/2^(b-1), max/(2^(b-1)-1)), codes as full
  signed_absmax,  ///< s = m/(-2^(b-1)), m the signed extreme (of two equal ones the negative),
                  ///< codes as full; s may be negative
  asymmetric,     ///< s = (max-min)/(2^b-1) with 0 forced into the range; zero point -min/s, rounded
                  ///< to nearest even whatever the rounding of the values
  float_min,      ///< s = (max-min)/(2^b-1), value min + s·code: both ends exact, 0 not a level (KIVI)
  llm_qat,        ///< s = (absmax+1e-6)/(2^(b-1)-1), value code/(1/s+1e-6); 4 levels ±s/2, ±3s/2 with s = mean|x| at
                  ///< b = 2, ± mean|x| at b = 1, where 0 goes up
  llm_qat_asymmetric,  ///< float_min with s = (max-min+1e-8)/(2^b-1)
};

}  // namespace hone
