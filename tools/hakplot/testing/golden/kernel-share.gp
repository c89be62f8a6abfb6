# Made by hakplot. To draw again after changing something: gnuplot kernel-share.gp
set terminal svg size 860,295 fixed font 'sans-serif,12' noenhanced background '#ffffff'
set output 'kernel-share.svg'
set encoding utf8
set datafile separator "\t"
set datafile missing 'NaN'
set lmargin at screen 0.34651
set rmargin at screen 0.71453
set tmargin at screen 0.77966
set bmargin at screen 0.31864
set label 1 'Kernel and user time: w_x^2 1e7 --path ''$HOME''' at screen 0.01860, screen 0.91864 left font ',15' textcolor rgb '#222222' noenhanced
set label 2 'All runs of a phase together; lines: 95 % interval of sampling by timer ticks.' at screen 0.01860, screen 0.84407 left textcolor rgb '#5c5c5c' noenhanced
set border 3 linecolor rgb '#5c5c5c'
set tics nomirror out scale 0.5 textcolor rgb '#222222'
set grid linecolor rgb '#dddddd' linetype 1 linewidth 1
set style fill solid 1.0
set key at screen 0.01860, screen 0.02712 left bottom Left reverse vertical maxrows 1 samplen 2 spacing 1 width 2 textcolor rgb '#222222' noenhanced
set xlabel 'CPU time, %' textcolor rgb '#222222' noenhanced
set label 3 'base' at graph 0, first 15.5000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 4 '10.0 % kernel, 1.0 CPU s, n=1' at graph 1, first 15.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 5 '`touch PWNED` $(touch PWNED) ''q'' "d"'."\n".'a_b^c %s @m {/S x}' at graph 0, first 44.0000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 6 '10.0 % kernel, 0.5 CPU s, n=1' at graph 1, first 52.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 7 'two\nlines\x1b[31m' at graph 0, first 89.5000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 8 'kernel share unknown' at graph 1, first 89.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 9 '< touch PWNED' at graph 0, first 120.5000 right offset character -1,0 textcolor rgb '#222222' noenhanced
set label 10 'kernel share unknown' at graph 1, first 120.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set yrange [136.0:0]
unset ytics
set grid noy
$part0 << EOD
0	15.5	0	10	NaN
0	52.5	0	10	NaN
EOD
$part1 << EOD
0	15.5	10	100	NaN
0	52.5	10	100	NaN
EOD
set label 11 'unknown' at graph 0, first 89.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
set label 12 'unknown' at graph 0, first 120.5000 left offset character 1,0 textcolor rgb '#5c5c5c' noenhanced
$intervals0 << EOD
0	10	15.5	6.865492899	14.34517106
0	10	52.5	5.876960882	16.50827061
EOD
set xrange [0:100]
plot $part0 using 4:2:3:4:($2-11):($2+11) with boxxyerror linecolor rgb '#d55e00' fillstyle solid 1.0 border linecolor rgb '#d55e00' title 'kernel', \
  $part1 using 4:2:3:4:($2-11):($2+11) with boxxyerror linecolor rgb '#0072b2' fillstyle pattern 4 border linecolor rgb '#0072b2' title 'user', \
  $intervals0 using 2:3:4:5 with xerrorbars pointtype 0 linewidth 3 linecolor rgb '#222222' notitle
set terminal pngcairo size 1720,590 font 'sans-serif,12' fontscale 1.5 linewidth 2 pointscale 2 noenhanced background '#ffffff'
set output 'kernel-share.png'
replot
set terminal pdfcairo size 8.96in,3.07in font 'sans-serif,12' fontscale 0.58 noenhanced background '#ffffff'
set output 'kernel-share.pdf'
replot
unset output
