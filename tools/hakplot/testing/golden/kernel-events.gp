# Made by hakplot. To draw again after changing something: gnuplot kernel-events.gp
set terminal svg size 860,342 fixed font 'sans-serif,12' noenhanced background '#ffffff'
set output 'kernel-events.svg'
set encoding utf8
set datafile separator "\t"
set datafile missing 'NaN'
set tmargin 3.9
set label 1 'Page faults and system calls: w_x^2 1e7 --path ''$HOME''' at screen 0,1 left offset character 1.5,-1.3 font ',15' textcolor rgb '#222222' noenhanced
set label 2 'Medians of the runs. What was not counted has no dot.' at screen 0,1 left offset character 1.5,-2.8 textcolor rgb '#5c5c5c' noenhanced
set border 3 linecolor rgb '#5c5c5c'
set tics nomirror out scale 0.5 textcolor rgb '#222222'
set grid linecolor rgb '#dddddd' linetype 1 linewidth 1
set style fill solid 1.0
set key below left Left reverse samplen 2 width 2 textcolor rgb '#222222' noenhanced
set xlabel 'per million operations (logarithmic, with a place for 0)'."\n" textcolor rgb '#222222' noenhanced
set logscale x 10
set label 'base' at graph 0, first 0 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label '2.00 faults, n=1' at graph 1, first 0 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label '`touch PWNED` $(touch PWNED) ''q'' "d"'."\n".'a_b^c %s @m {/S x}' at graph 0, first 1 right offset character -1,0.5 textcolor rgb '#222222' noenhanced
set label '1.00 faults, n=1' at graph 1, first 1 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label 'two\nlines\x1b[31m' at graph 0, first 2 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label 'unknown' at graph 1, first 2 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label '< touch PWNED' at graph 0, first 3 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label 'unknown' at graph 1, first 3 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set lmargin 38
set rmargin 18
set yrange [3.5:-0.5]
unset ytics
set grid noy
$dots0 << EOD
0	2	-0.176744186	NaN	NaN
0	1	0.823255814	NaN	NaN
EOD
$dots1 << EOD
0	0.01	0	NaN	NaN
0	0.1	1	NaN	NaN
EOD
$dots2 << EOD
0	0.4	0.176744186	NaN	NaN
EOD
set xrange [0.006:4]
set format x '%g'
set xtics add ('0' 0.01)
set arrow from first 0.03, graph 0 to first 0.03, graph 1 nohead linecolor rgb '#5c5c5c' back
set arrow from graph 0, first 0.5 to graph 1, first 0.5 nohead linecolor rgb '#dddddd' back
set arrow from graph 0, first 1.5 to graph 1, first 1.5 nohead linecolor rgb '#dddddd' back
set arrow from graph 0, first 2.5 to graph 1, first 2.5 nohead linecolor rgb '#dddddd' back
plot $dots0 using 2:3 with points pointtype 7 pointsize 0.8 linecolor rgb '#0072b2' title 'page faults', \
  $dots1 using 2:3 with points pointtype 5 pointsize 0.8 linecolor rgb '#e69f00' title 'mmap', \
  $dots2 using 2:3 with points pointtype 9 pointsize 0.8 linecolor rgb '#009e73' title 'munmap'
set terminal pngcairo size 1720,685 font 'sans-serif,12' fontscale 1.5 linewidth 2 pointscale 2 noenhanced background '#ffffff'
set output 'kernel-events.png'
replot
set terminal pdfcairo size 8.96in,3.57in font 'sans-serif,12' fontscale 0.58 noenhanced background '#ffffff'
set output 'kernel-events.pdf'
replot
unset output
