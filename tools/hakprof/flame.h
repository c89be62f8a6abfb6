// Flame graphs: a picture that anything can show, and a page around it in which frames can be
// zoomed into and searched for. The page loads nothing.

#ifndef HAKMEM_TOOLS_HAKPROF_FLAME_H_
#define HAKMEM_TOOLS_HAKPROF_FLAME_H_

#include "tools/hakprof/tree.h"

typedef struct pf_flame {
  const char* title;
  const char* unit;
  bool has_base;  // then colours say what has grown, else whose code it is
} pf_flame;

// The sorted tree, the outermost calls on top. The width of a frame is its value.
void pf_flame_svg(const pf_flame* flame, const pf_node* root, FILE* svg);
void pf_flame_html(const pf_flame* flame, const pf_node* root, FILE* html);

#endif  // HAKMEM_TOOLS_HAKPROF_FLAME_H_
