// Stacks put together: functions, outermost first, with what they and those they call hold.

#ifndef HAKMEM_TOOLS_HAKPROF_TREE_H_
#define HAKMEM_TOOLS_HAKPROF_TREE_H_

#include "tools/hakprof/profile.h"

typedef struct pf_node {
  const pf_frame* frame;  // of the first stack that has it; NULL: the root
  double value;
  double base;  // of the profile that it is compared with
  double variance;
  struct pf_node** children;  // by size, once sorted
  size_t child_count;
} pf_node;

// Adds what the samples have of that type, or to `base` what these have.
void pf_tree_add(pf_node* root, const pf_profile* profile, int type, bool is_base);

// Sorts the children of all nodes by value.
void pf_tree_sort(pf_node* root);

#endif  // HAKMEM_TOOLS_HAKPROF_TREE_H_
