#pragma once
// A descriptor as Boost.Interprocess wants it: whatever has get_mapping_handle() can be mapped by
// mapped_region.
//
//   boost::interprocess::mapped_region region(Mappable{fd}, boost::interprocess::read_only, 0, size);
//
// shared_memory_object opens only names directly under /dev/shm and cannot hold a file that has no name
// yet. The descriptor stays the caller's.

#include <boost/interprocess/mapped_region.hpp>

namespace touchstone::engine {

struct Mappable {
  int fd;

  boost::interprocess::mapping_handle_t get_mapping_handle() const {
    return boost::interprocess::ipcdetail::mapping_handle_from_file_handle(fd);
  }
};

}  // namespace touchstone::engine
