// The colours of pictures and page, all of them. Okabe and Ito's, which people with any colour
// vision tell apart; yellow is left out: it is too light for lines on white.

#ifndef HAKMEM_TOOLS_HAKPLOT_PALETTE_H_
#define HAKMEM_TOOLS_HAKPLOT_PALETTE_H_

#define HP_INK "#222222"
#define HP_SOFT_INK "#5c5c5c"
#define HP_GRID "#dddddd"
#define HP_GREY "#8c8c8c"
#define HP_BLUE "#0072b2"
#define HP_SKY "#56b4e9"
#define HP_GREEN "#009e73"
#define HP_ORANGE "#e69f00"
#define HP_VERMILION "#d55e00"
#define HP_PURPLE "#cc79a7"

// Dark to light in even steps of lightness, blue to yellow: readable in grey and to everyone.
#define HP_HEAT_STEPS "0 '#00224e', 25 '#434e6c', 50 '#7d7c78', 75 '#bcae6c', 100 '#fee838'"

#endif  // HAKMEM_TOOLS_HAKPLOT_PALETTE_H_
