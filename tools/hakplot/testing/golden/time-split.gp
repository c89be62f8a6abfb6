# Made by hakplot. To draw again after changing something: gnuplot time-split.gp
set terminal svg size 860,342 fixed font 'sans-serif,12' noenhanced background '#ffffff'
set output 'time-split.svg'
set encoding utf8
set datafile separator "\t"
set datafile missing 'NaN'
set tmargin 3.9
set label 1 'CPU time of one operation: w_x^2 1e7 --path ''$HOME''' at screen 0,1 left offset character 1.5,-1.3 font ',15' textcolor rgb '#222222' noenhanced
set label 2 'Medians. No run of the dry loop is in the data, so that the loop is part of user space.' at screen 0,1 left offset character 1.5,-2.8 textcolor rgb '#5c5c5c' noenhanced
set border 3 linecolor rgb '#5c5c5c'
set tics nomirror out scale 0.5 textcolor rgb '#222222'
set grid linecolor rgb '#dddddd' linetype 1 linewidth 1
set style fill solid 1.0
set key below left Left reverse samplen 2 width 2 textcolor rgb '#222222' noenhanced
set xlabel 'CPU time, ns per operation (all threads)'."\n" textcolor rgb '#222222' noenhanced
set label 'base' at graph 0, first 0 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label '100 ns, n=1' at graph 1, first 0 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label '`touch PWNED` $(touch PWNED) ''q'' "d"'."\n".'a_b^c %s @m {/S x}' at graph 0, first 1 right offset character -1,0.5 textcolor rgb '#222222' noenhanced
set label '50.0 ns, n=1' at graph 1, first 1 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label 'two\nlines\x1b[31m' at graph 0, first 2 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label 'unknown' at graph 1, first 2 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label '< touch PWNED' at graph 0, first 3 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label 'unknown' at graph 1, first 3 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set lmargin 38
set rmargin 14
set yrange [3.5:-0.5]
unset ytics
set grid noy
$part0 << EOD
0	0	0	90	NaN
0	1	0	45	NaN
EOD
$part1 << EOD
0	0	90	100	NaN
0	1	45	50	NaN
EOD
set label 'unknown' at graph 0, first 2 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 'unknown' at graph 0, first 3 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set xrange [0:104]
plot $part0 using 4:2:3:4:($2-0.256):($2+0.256) with boxxyerror linecolor rgb '#0072b2' fillstyle pattern 4 border linecolor rgb '#0072b2' title 'user space, the loop included', \
  $part1 using 4:2:3:4:($2-0.256):($2+0.256) with boxxyerror linecolor rgb '#d55e00' fillstyle solid 1.0 border linecolor rgb '#d55e00' title 'kernel'
set terminal pngcairo size 1720,685 font 'sans-serif,12' fontscale 1.5 linewidth 2 pointscale 2 noenhanced background '#ffffff'
set output 'time-split.png'
replot
set terminal pdfcairo size 8.96in,3.57in font 'sans-serif,12' fontscale 0.58 noenhanced background '#ffffff'
set output 'time-split.pdf'
replot
unset output
