// Picture draws what a clock.Source believes against the truth, as SVG on standard output:
//
//	go run ./internal/clocksim/picture > clock/estimate.svg
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/clocksim"
)

func main() {
	if _, err := os.Stdout.Write(draw()); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// A reading is what was true and what was believed at one time.
type reading struct {
	at, truth, offset time.Duration // at: since the beginning; the others: true time minus the machine's
	low, high         time.Duration
	known             bool
}

// The scene: a machine that is 7 minutes behind, and loses 100 ppm, gets an answer a minute, but none at first. Then somebody sets
// its clock, three minutes too far, and for a while there are no answers again.
const (
	first  = 10 * time.Minute
	set    = 90 * time.Minute
	second = 105 * time.Minute
	end    = 180 * time.Minute
)

func scene() (all []reading) {
	const host = "s3.eu-west-1.amazonaws.com"
	w := clocksim.New(11, -7*time.Minute, -100)
	start := w.Truth
	server := clocksim.NewServer(host, 0)
	s := clock.NewSource(w, clock.Options{})
	for at := time.Duration(0); at <= end; at = w.Truth.Sub(start).Truncate(time.Minute) {
		if at == set {
			w.Set(3 * time.Minute)
			s = clock.NewSource(w, clock.Options{}) // a Source does this by itself, if its clock has monotonic readings
		}
		if at >= first && at < set || at >= second {
			w.Pass(w.Between(0, 30*time.Second)) // or the fraction of the second would always be the same
			out, back := w.RoundTrip()
			s.Observe(w.Ask(server, out, back))
		}
		_, offset := s.Read(host)
		e := s.Estimate(host)
		all = append(all, reading{at, -w.Off(), offset, e.Low, e.High, e.Samples > 0})
		w.Pass(start.Add(at + time.Minute).Sub(w.Truth))
	}
	return all
}

// The plane of the drawing: a panel in minutes above one in seconds, of the same three hours.
const width, height, left, right = 760, 426, 68, 24

type panel struct {
	top, bottom float64
	high, low   time.Duration
}

func x(at time.Duration) float64 {
	return left + (width-left-right)*float64(at)/float64(end)
}

func (p panel) y(d time.Duration) float64 {
	return p.top + (p.bottom-p.top)*float64(p.high-d)/float64(p.high-p.low)
}

// The colours are readable on the white card, and for those who do not see red.
const (
	text, grid, truth, belief = "#57606a", "#d8dee4", "#bf8700", "#0550ae"
)

func draw() []byte {
	all := scene()
	minutes := panel{56, 226, 8 * time.Minute, -4 * time.Minute}
	seconds := panel{282, 390, 1500 * time.Millisecond, -1500 * time.Millisecond}
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="12" fill="%s">`, width, height, width, height, text)
	p(`<title id="title">What a clock.Source believes, against the truth</title>`)
	p(`<desc id="desc">A machine is 7 minutes behind. Nothing is corrected until its second answer, and from then on the correction is right to within a second, and stays as it is while the machine's clock drifts by less than half a second. After 90 minutes somebody sets that clock 3 minutes too far: what was learned is forgotten at once, and learned anew from the next two answers.</desc>`)
	p(`<rect x="0.5" y="0.5" width="%d" height="%d" rx="8" fill="#ffffff" stroke="#d0d7de"/>`, width-1, height-1)

	p(`<g stroke="%s">`, grid)
	for m := minutes.low; m <= minutes.high; m += 2 * time.Minute {
		p(`<path d="M%d %.1fH%d"/>`, left, minutes.y(m), width-right)
	}
	for s := seconds.low; s <= seconds.high; s += 500 * time.Millisecond {
		p(`<path d="M%d %.1fH%d"/>`, left, seconds.y(s), width-right)
	}
	p(`</g>`)
	p(`<g text-anchor="end">`)
	for m := minutes.low; m <= minutes.high; m += 2 * time.Minute {
		p(`<text x="%d" y="%.1f">%s min</text>`, left-8, minutes.y(m)+4, signed(m.Minutes()))
	}
	for s := seconds.low; s <= seconds.high; s += 500 * time.Millisecond {
		p(`<text x="%d" y="%.1f">%s s</text>`, left-8, seconds.y(s)+4, signed(s.Seconds()))
	}
	p(`</g>`)
	p(`<g text-anchor="middle">`)
	for at := time.Duration(0); at <= end; at += 30 * time.Minute {
		p(`<text x="%.1f" y="%.1f">%g h</text>`, x(at), seconds.bottom+20, at.Hours())
	}
	p(`</g>`)
	p(`<path d="M%.1f %.1fV%.1fM%.1f %.1fV%.1f" stroke="%s" stroke-dasharray="4 4"/>`,
		x(set), minutes.top, minutes.bottom, x(set), seconds.top, seconds.bottom, text)

	p(`<g fill="none" stroke="%s" stroke-width="7" stroke-opacity="0.5">`, truth)
	p(`<path d="M%.1f %.1fL%.1f %.1fM%.1f %.1fL%.1f %.1f"/>`,
		x(0), minutes.y(all[0].truth), x(set), minutes.y(all[set/time.Minute-1].truth), x(set), minutes.y(all[set/time.Minute].truth), x(end), minutes.y(all[end/time.Minute].truth))
	p(`<path d="M%d %.1fH%d" stroke-width="4"/>`, left, seconds.y(0), width-right)
	p(`</g>`)

	// In minutes, what was corrected; in seconds, by how much that was wrong, within the bounds in which the truth may lie.
	steps := fmt.Sprintf("M%.1f %.1f", x(0), minutes.y(all[0].offset))
	for i := 1; i < len(all); i++ {
		if (all[i].offset - all[i-1].offset).Abs() > time.Minute {
			steps += fmt.Sprintf("H%.1fV%.1f", x(all[i].at), minutes.y(all[i].offset))
		}
	}
	errs, bands := "", ""
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].known == all[from].known && (all[to].at < set) == (all[from].at < set) {
			to++
		}
		if all[from].known {
			var line, over, under []string
			inForce := all[from].offset
			for _, r := range all[from:to] {
				if r.offset != inForce {
					line = append(line, fmt.Sprintf("%.1f %.1f", x(r.at), seconds.y(inForce-r.truth)))
					inForce = r.offset
				}
				line = append(line, fmt.Sprintf("%.1f %.1f", x(r.at), seconds.y(r.offset-r.truth)))
				over = append(over, fmt.Sprintf("%.1f %.1f", x(r.at), seconds.y(r.high-r.truth)))
				under = append([]string{fmt.Sprintf("%.1f %.1f", x(r.at), seconds.y(r.low-r.truth))}, under...)
			}
			errs += "M" + strings.Join(line, "L")
			bands += "M" + strings.Join(over, "L") + "L" + strings.Join(under, "L") + "Z"
		}
		from = to
	}
	p(`<path d="%s" fill="%s" fill-opacity="0.18"/>`, bands, belief)
	p(`<path d="%sH%.1f%s" fill="none" stroke="%s" stroke-width="2"/>`, steps, x(end), errs, belief)

	// What is what, and what happens.
	p(`<g font-size="13"><path d="M%d 26h28" stroke="%s" stroke-width="7" stroke-opacity="0.5"/><text x="%d" y="30">true time minus the machine's</text>`, left, truth, left+36)
	p(`<path d="M%d 26h28" stroke="%s" stroke-width="2"/><text x="%d" y="30">correction in force</text>`, left+250, belief, left+286)
	p(`<rect x="%d" y="18" width="28" height="16" fill="%s" fill-opacity="0.18"/><text x="%d" y="30">bounds of the truth</text></g>`, left+440, belief, left+476)
	p(`<text x="%.1f" y="%.1f">two answers agree</text>`, x(first)+16, minutes.y(4*time.Minute)+18)
	p(`<text x="%.1f" y="%.1f">somebody sets the machine's clock:</text><text x="%.1f" y="%.1f">what was learned is forgotten</text>`,
		x(set)+10, minutes.y(6*time.Minute)+18, x(set)+10, minutes.y(4*time.Minute)+18)
	p(`<text x="%.1f" y="%.1f">two answers agree again</text>`, x(second)+16, minutes.y(0)+18)
	p(`<text x="%d" y="%.1f">By how much the correction is wrong:</text>`, left, seconds.top-12)
	p(`</svg>`)
	return b.Bytes()
}

func signed(n float64) string { return strings.Replace(fmt.Sprintf("%g", n), "-", "−", 1) }
