// Counter-based random numbers: a draw is a pure function of (seed, domain, substream, counter), so no
// result can depend on thread count, evaluation order or the point of resume.
// source  Salmon et al. 2011 (Philox4x32-10), through the Random123 library.
#pragma once

#include <array>
#include <cstdint>

namespace hone {

/// What a stream is for. Streams of different domains never share a draw, whatever their seeds.
enum class Domain : std::uint32_t {
  init = 0x1000,
  batch = 0x2000,
  synthetic = 0x2100,
  split = 0x2200,
  probe = 0x3000,
  lanczos = 0x3100,
  subspace = 0x3200,
  label = 0x3300,
  rounding = 0x4000,
  noise = 0x4100,
  bootstrap = 0x5000,
  starts = 0x5100,
  test = 0x9000,
  rotation = 0x4800,
  sampling = 0x6100,
  copy_task = 0x6200,
};

/// Address of a sequence of draws.
struct Stream {
  std::uint64_t seed = 0;
  Domain domain = Domain::test;
  std::uint32_t substream = 0;  ///< step, probe or layer number: streams that differ in it are independent
};

/// The 128 random bits at `counter`.
/// cost  one Philox block, about 10 ns
std::array<std::uint32_t, 4> bits(const Stream& stream, std::uint64_t counter);

/// Uniform in the open interval (0, 1): k + ½ over 2^53, smallest 2^-54, largest 1 - 2^-54.
double uniform(const Stream& stream, std::uint64_t counter);

/// Standard normal by Box-Muller from one whole block; nothing is kept between calls.
double normal(const Stream& stream, std::uint64_t counter);

/// Uniform integer in [0, bound); bias below bound/2^64.
/// expects  bound ≥ 1
std::uint64_t below(const Stream& stream, std::uint64_t counter, std::uint64_t bound);

/// +1 or -1 with equal probability.
double rademacher(const Stream& stream, std::uint64_t counter);

}  // namespace hone
