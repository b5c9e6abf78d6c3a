# cmake -DSOURCE=<root of hone> -DOUTPUT=<header> -P git_id.cmake
# Writes the commit of SOURCE into OUTPUT, touching it only when it changes, so that nothing is rebuilt in vain.
# A tarball inside somebody else's checkout is not that checkout: only a repository rooted at SOURCE counts.
set(id unknown)
set(dirty false)
find_program(GIT git)
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --show-toplevel HEAD
                  OUTPUT_VARIABLE answer RESULT_VARIABLE failed ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(REAL_PATH ${SOURCE} root)
  if(NOT failed AND answer MATCHES "^(.+)\n([0-9a-f]+)$" AND CMAKE_MATCH_1 STREQUAL root)
    set(id ${CMAKE_MATCH_2})
    execute_process(COMMAND ${GIT} --no-optional-locks -C ${SOURCE} status --porcelain --untracked-files=no
                    OUTPUT_VARIABLE changes ERROR_QUIET)
    if(changes)
      set(dirty true)
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
// Made by git_id.cmake at build time.
#pragma once
namespace hone {
inline constexpr const char* git_id = "@id@";
inline constexpr bool git_is_dirty = @dirty@;
}  // namespace hone
]])
