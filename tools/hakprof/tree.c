// Stacks put together.

#include "tools/hakprof/tree.h"

#include <stdlib.h>
#include <string.h>

// By name: the functions of two profiles are to meet.
static bool is_same(const pf_function* a, const pf_function* b) {
  return a == b || (strcmp(a->name, b->name) == 0 && strcmp(a->module, b->module) == 0);
}

static pf_node* child_of(pf_node* node, const pf_frame* frame) {
  for (size_t i = 0; i < node->child_count; i++) {
    if (is_same(node->children[i]->frame->function, frame->function)) return node->children[i];
  }
  pf_node* child = hp_alloc(sizeof(*child));
  child->frame = frame;
  *hp_push(node->children, node->child_count) = child;
  return child;
}

void pf_tree_add(pf_node* root, const pf_profile* profile, int type, bool is_base) {
  for (size_t i = 0; i < profile->sample_count; i++) {
    const pf_sample* sample = &profile->samples[i];
    double value = sample->values[type];
    double variance = pf_variance(profile, sample, type);
    pf_node* node = root;
    if (value == 0) continue;
    for (size_t f = sample->frame_count;; f--) {
      if (is_base) {
        node->base += value;
      } else {
        node->value += value;
      }
      node->variance += variance;
      if (f == 0) break;
      node = child_of(node, sample->frames[f - 1]);
    }
  }
}

static int by_value(const void* a, const void* b) {
  const pf_node* left = *(pf_node* const*)a;
  const pf_node* right = *(pf_node* const*)b;
  return left->value > right->value ? -1 : left->value < right->value;
}

void pf_tree_sort(pf_node* root) {
  if (root->child_count == 0) return;
  qsort(root->children, root->child_count, sizeof(*root->children), by_value);
  for (size_t i = 0; i < root->child_count; i++) pf_tree_sort(root->children[i]);
}
