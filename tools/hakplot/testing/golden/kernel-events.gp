# Made by hakplot. To draw again after changing something: gnuplot kernel-events.gp
set terminal svg size 860,297 fixed font 'sans-serif,12' noenhanced background '#ffffff'
set output 'kernel-events.svg'
set encoding utf8
set datafile separator "\t"
set datafile missing 'NaN'
set lmargin at screen 0.34651
set rmargin at screen 0.82791
set tmargin at screen 0.78144
set bmargin at screen 0.31607
set label 1 'Page faults and system calls: w_x^2 1e7 --path ''$HOME''' at screen 0.01860, screen 0.91930 left font ',15' textcolor rgb '#222222' noenhanced
set label 2 'Medians of the runs. What was not counted has no dot.' at screen 0.01860, screen 0.84533 left textcolor rgb '#5c5c5c' noenhanced
set border 3 linecolor rgb '#5c5c5c'
set tics nomirror out scale 0.5 textcolor rgb '#222222'
set grid linecolor rgb '#dddddd' linetype 1 linewidth 1
set style fill solid 1.0
set key at screen 0.01860, screen 0.02690 left bottom Left reverse vertical maxrows 1 samplen 2 spacing 1 width 2 textcolor rgb '#222222' noenhanced
set xlabel 'per million operations (logarithmic, with a place for 0)' textcolor rgb '#222222' noenhanced
set logscale x 10
set label 3 'base' at graph 0, first 15.9000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 4 '2.00 faults, n=1' at graph 1, first 15.9000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 5 '`touch PWNED` $(touch PWNED) ''q'' "d"'."\n".'a_b^c %s @m {/S x}' at graph 0, first 44.8000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 6 '1.00 faults, n=1' at graph 1, first 53.3000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 7 'two\nlines\x1b[31m' at graph 0, first 90.7000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 8 'unknown' at graph 1, first 90.7000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 9 '< touch PWNED' at graph 0, first 122.5000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 10 'unknown' at graph 1, first 122.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set yrange [138.4:0]
unset ytics
set grid noy
$dots0 << EOD
0	2	8.3	NaN	NaN
0	1	45.7	NaN	NaN
EOD
$dots1 << EOD
0	0.01	15.9	NaN	NaN
0	0.1	53.3	NaN	NaN
EOD
$dots2 << EOD
0	0.4	23.5	NaN	NaN
EOD
set xrange [0.006:4]
set format x '%g'
set xtics add ('0' 0.01)
set arrow from first 0.03, graph 0 to first 0.03, graph 1 nohead linecolor rgb '#5c5c5c' back
set arrow from graph 0, first 34.6 to graph 1, first 34.6 nohead linecolor rgb '#dddddd' back
set arrow from graph 0, first 72.0 to graph 1, first 72.0 nohead linecolor rgb '#dddddd' back
set arrow from graph 0, first 106.6 to graph 1, first 106.6 nohead linecolor rgb '#dddddd' back
plot $dots0 using 2:3 with points pointtype 7 pointsize 0.8 linecolor rgb '#0072b2' title 'page faults', \
  $dots1 using 2:3 with points pointtype 5 pointsize 0.8 linecolor rgb '#e69f00' title 'mmap', \
  $dots2 using 2:3 with points pointtype 9 pointsize 0.8 linecolor rgb '#009e73' title 'munmap'
set terminal pngcairo size 1720,595 font 'sans-serif,12' fontscale 1.5 linewidth 2 pointscale 2 noenhanced background '#ffffff'
set output 'kernel-events.png'
replot
set terminal pdfcairo size 8.96in,3.10in font 'sans-serif,12' fontscale 0.58 noenhanced background '#ffffff'
set output 'kernel-events.pdf'
replot
unset output
