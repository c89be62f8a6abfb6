# Made by hakplot. To draw again after changing something: gnuplot throughput.gp
set terminal svg size 860,342 fixed font 'sans-serif,12' noenhanced background '#ffffff'
set output 'throughput.svg'
set encoding utf8
set datafile separator "\t"
set datafile missing 'NaN'
set tmargin 3.9
set label 1 'Throughput: w_x^2 1e7 --path ''$HOME''' at screen 0,1 left offset character 1.5,-1.3 font ',15' textcolor rgb '#222222' noenhanced
set label 2 'Bars: median; circles: single runs. Below 6 runs no 95 % interval exists.' at screen 0,1 left offset character 1.5,-2.8 textcolor rgb '#5c5c5c' noenhanced
set border 3 linecolor rgb '#5c5c5c'
set tics nomirror out scale 0.5 textcolor rgb '#222222'
set grid linecolor rgb '#dddddd' linetype 1 linewidth 1
set style fill solid 1.0
set key below left Left reverse samplen 2 width 2 textcolor rgb '#222222' noenhanced
set xlabel 'throughput, million operations a second'."\n" textcolor rgb '#222222' noenhanced
set label 'base' at graph 0, first 0 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label '10.0, n=1' at graph 1, first 0 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label '`touch PWNED` $(touch PWNED) ''q'' "d"'."\n".'a_b^c %s @m {/S x}' at graph 0, first 1 right offset character -1,0.5 textcolor rgb '#222222' noenhanced
set label '20.0, n=1' at graph 1, first 1 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label 'two\nlines\x1b[31m' at graph 0, first 2 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label '15.0, n=1' at graph 1, first 2 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set label '< touch PWNED' at graph 0, first 3 right offset character -1,0.0 textcolor rgb '#222222' noenhanced
set label 'unknown, n=0, 1 failed' at graph 1, first 3 left offset character 1,0.0 textcolor rgb '#5c5c5c' noenhanced
set lmargin 38
set rmargin 24
set yrange [3.5:-0.5]
unset ytics
set grid noy
$bars0 << EOD
0	10	0	NaN	NaN
EOD
$bars1 << EOD
0	20	1	NaN	NaN
0	15	2	NaN	NaN
EOD
$bars2 << EOD
EOD
set label 'unknown' at graph 0, first 3 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
$runs0 << EOD
0	10	0	NaN	NaN
0	20	1	NaN	NaN
0	15	2	NaN	NaN
EOD
set xrange [0:20.8]
plot $bars0 using 2:3:(0):2:($3-0.256):($3+0.256) with boxxyerror linecolor rgb '#8c8c8c' fillstyle solid 1.0 noborder title 'median, baseline', \
  $bars1 using 2:3:(0):2:($3-0.256):($3+0.256) with boxxyerror linecolor rgb '#56b4e9' fillstyle solid 1.0 noborder title 'median', \
  $runs0 using 2:3 with points pointtype 6 pointsize 0.6 linecolor rgb '#222222' title 'single runs'
set terminal pngcairo size 1720,685 font 'sans-serif,12' fontscale 1.5 linewidth 2 pointscale 2 noenhanced background '#ffffff'
set output 'throughput.png'
replot
set terminal pdfcairo size 8.96in,3.57in font 'sans-serif,12' fontscale 0.58 noenhanced background '#ffffff'
set output 'throughput.pdf'
replot
unset output
