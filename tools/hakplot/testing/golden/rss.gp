# Made by hakplot. To draw again after changing something: gnuplot rss.gp
set terminal svg size 860,547 fixed font 'sans-serif,12' noenhanced background '#ffffff'
set output 'rss.svg'
set encoding utf8
set datafile separator "\t"
set datafile missing 'NaN'
set tmargin 3.9
set label 1 'Memory over time: ''; touch PWNED #' at screen 0,1 left offset character 1.5,-1.3 font ',15' textcolor rgb '#222222' noenhanced
set label 2 'Thick: resident memory; thin and dashed, same colour: bytes the program holds. One run.' at screen 0,1 left offset character 1.5,-2.8 textcolor rgb '#5c5c5c' noenhanced
set border 3 linecolor rgb '#5c5c5c'
set tics nomirror out scale 0.5 textcolor rgb '#222222'
set grid linecolor rgb '#dddddd' linetype 1 linewidth 1
set style fill solid 1.0
set key below left Left reverse samplen 2 width 2 textcolor rgb '#222222' noenhanced
set xlabel 'time, s'."\n" textcolor rgb '#222222' noenhanced
set ylabel 'MiB' textcolor rgb '#222222' noenhanced
$line0 << EOD
0	0	1	NaN	NaN
0	1	2	NaN	NaN
0	2	2	NaN	NaN
EOD
$line1 << EOD
0	0	0.5	NaN	NaN
0	1	0.5	NaN	NaN
0	2	0.5	NaN	NaN
EOD
$line2 << EOD
0	0	1	NaN	NaN
0	1	3	NaN	NaN
0	2	3	NaN	NaN
EOD
$line3 << EOD
0	0	0.5	NaN	NaN
0	1	0.5	NaN	NaN
0	2	0.5	NaN	NaN
EOD
set yrange [0:3.18]
plot $line0 using 2:3 with linespoints linewidth 2 dashtype 1 linecolor rgb '#0072b2' pointtype 7 pointsize 0.7 title 'base', \
  $line1 using 2:3 with lines linewidth 1 dashtype 2 linecolor rgb '#0072b2' notitle, \
  $line2 using 2:3 with linespoints linewidth 2 dashtype 1 linecolor rgb '#e69f00' pointtype 5 pointsize 0.7 title '| touch PWNED', \
  $line3 using 2:3 with lines linewidth 1 dashtype 2 linecolor rgb '#e69f00' notitle
set terminal pngcairo size 1720,1095 font 'sans-serif,12' fontscale 1.5 linewidth 2 pointscale 2 noenhanced background '#ffffff'
set output 'rss.png'
replot
set terminal pdfcairo size 8.96in,5.70in font 'sans-serif,12' fontscale 0.58 noenhanced background '#ffffff'
set output 'rss.pdf'
replot
unset output
