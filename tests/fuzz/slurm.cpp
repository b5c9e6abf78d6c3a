// What Slurm's programs print. The first byte chooses the program.
#include "experiments/cluster/slurm.hpp"
#include "tests/fuzz/target.hpp"

namespace {

using namespace hone;

void try_configuration(const std::string& text, std::int64_t max_array) {
  fuzz::is_read("scontrol", [&] {
    const experiments::SlurmConfiguration cluster = experiments::parse_configuration(text, max_array);
    std::int64_t next = 0, jobs = 0;
    for (const auto& chunk : experiments::chunks(1000, experiments::task_jobs(cluster, max_array).tasks_per_job)) {
      if (chunk.first != next || chunk.count < 1 || ++jobs > 1000) fuzz::fail("a gap between two jobs");
      next += chunk.count;
    }
    if (next != 1000) fuzz::fail("tasks are left out");
  });
}

void try_queue(const std::string& text) {
  fuzz::is_read("squeue", [&] {
    for (const experiments::QueuedTask& task : experiments::parse_queue(text, "study"))
      if (task.task < 0 || task.submission.empty()) fuzz::fail("a task without number or submission");
  });
}

void try_job_id(const std::string& text) {
  fuzz::is_read("sbatch", [&] {
    const std::string id = experiments::parse_job_id(text);
    if (id.empty() || id.find_first_not_of("0123456789") != id.npos) fuzz::fail("the job id " + id);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hone::fuzz::limit_time();
  if (size == 0) return 0;
  const std::string text(fuzz::text_of(data + 1, size - 1));
  switch (data[0] % 4) {
    case 0: try_configuration(text, 0); break;
    case 1: try_configuration(text, 100); break;
    case 2: try_queue(text); break;
    default: try_job_id(text);
  }
  return 0;
}
