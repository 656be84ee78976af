# Two things that only an environment made by pip needs; nothing changes on a normal ROS.
function(nextscale_mend_include_directories)
  # The wheels of the message packages export include folders of the machine they were built on, and
  # CMake refuses an imported target whose include folder does not exist.
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
      set(kept "")
      foreach(folder IN LISTS folders)
        if(folder MATCHES "\\$<" OR EXISTS "${folder}")
          list(APPEND kept "${folder}")
        endif()
      endforeach()
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${kept}")
    endif()
  endforeach()

  # With .venv inside the checkout, NumPy's headers lie below the source folder, which CMake does
  # not let an installed target export.
  set(target ${PROJECT_NAME}__rosidl_generator_py)
  get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
  set(wrapped "")
  foreach(folder IN LISTS folders)
    string(FIND "${folder}" "${PROJECT_SOURCE_DIR}/" position)
    if(position EQUAL 0)
      set(folder "$<BUILD_INTERFACE:${folder}>")
    endif()
    list(APPEND wrapped "${folder}")
  endforeach()
  set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${wrapped}")
endfunction()
