# Made by hakplot. To draw again after changing something: gnuplot throughput.gp
set terminal svg size 860,313 fixed font 'sans-serif,12' noenhanced background '#ffffff'
set output 'throughput.svg'
set encoding utf8
set datafile separator "\t"
set datafile missing 'NaN'
set lmargin at screen 0.34651
set rmargin at screen 0.77558
set tmargin at screen 0.79233
set bmargin at screen 0.35783
set label 1 'Throughput: w_x^2 1e7 --path ''$HOME''' at screen 0.01860, screen 0.92332 left font ',15' textcolor rgb '#222222' noenhanced
set label 2 'Bars: median; circles: single runs. Below 6 runs no 95 % interval exists.' at screen 0.01860, screen 0.85304 left textcolor rgb '#5c5c5c' noenhanced
set border 3 linecolor rgb '#5c5c5c'
set tics nomirror out scale 0.5 textcolor rgb '#222222'
set grid linecolor rgb '#dddddd' linetype 1 linewidth 1
set style fill solid 1.0
set key at screen 0.01860, screen 0.02556 left bottom Left reverse vertical maxrows 2 samplen 2 spacing 1 width 2 textcolor rgb '#222222' noenhanced
set xlabel 'throughput, million operations a second' textcolor rgb '#222222' noenhanced
set label 3 'base' at graph 0, first 15.5000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 4 '10.0, n=1' at graph 1, first 15.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 5 '`touch PWNED` $(touch PWNED) ''q'' "d"'."\n".'a_b^c %s @m {/S x}' at graph 0, first 44.0000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 6 '20.0, n=1' at graph 1, first 52.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 7 'two\nlines\x1b[31m' at graph 0, first 89.5000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 8 '15.0, n=1' at graph 1, first 89.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 9 '< touch PWNED' at graph 0, first 120.5000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 10 'unknown, n=0, 1 failed' at graph 1, first 120.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set yrange [136.0:0]
unset ytics
set grid noy
$baseline0 << EOD
0	10	15.5	NaN	NaN
EOD
$bars0 << EOD
0	20	52.5	NaN	NaN
0	15	89.5	NaN	NaN
EOD
$stated0 << EOD
EOD
set label 11 'unknown' at graph 0, first 120.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
$intervals0 << EOD
EOD
$runs0 << EOD
0	10	15.5	NaN	NaN
0	20	52.5	NaN	NaN
0	15	89.5	NaN	NaN
EOD
set xrange [0:20.8]
plot $baseline0 using 2:3:(0):2:($3-11):($3+11) with boxxyerror linecolor rgb '#8c8c8c' fillstyle solid 1.0 noborder title 'median, baseline', \
  $bars0 using 2:3:(0):2:($3-11):($3+11) with boxxyerror linecolor rgb '#56b4e9' fillstyle solid 1.0 noborder title 'median', \
  $runs0 using 2:3 with points pointtype 6 pointsize 0.6 linecolor rgb '#222222' title 'single runs'
set terminal pngcairo size 1720,626 font 'sans-serif,12' fontscale 1.5 linewidth 2 pointscale 2 noenhanced background '#ffffff'
set output 'throughput.png'
replot
set terminal pdfcairo size 8.96in,3.26in font 'sans-serif,12' fontscale 0.58 noenhanced background '#ffffff'
set output 'throughput.pdf'
replot
unset output
