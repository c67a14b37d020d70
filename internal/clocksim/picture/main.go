// Picture draws what a clock.Source believes against the truth, as SVG on standard output:
//
//	go run ./internal/clocksim/picture > clock/estimate.svg
package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/internal/clocksim"
)

func main() {
	os.Stdout.Write(draw())
}

// A reading is what was true and what was believed at one time.
type reading struct {
	at, truth, offset time.Duration // at: since the beginning; the others: true time minus the machine's
	low, high         time.Duration
	known             bool
}

// scene lets a machine that is 7 minutes behind, and loses 100 ppm, send a request a minute. After an hour and a half somebody
// sets its clock, three minutes too far.
func scene() (all []reading, set time.Duration) {
	const host = "s3.eu-west-1.amazonaws.com"
	w := clocksim.New(11, -7*time.Minute, -100)
	start := w.Truth
	server := clocksim.NewServer(host, 0)
	s := clock.NewSource(w, clock.Options{})
	set = 90 * time.Minute
	for w.Truth.Sub(start) < 3*time.Hour {
		if now := w.Truth.Sub(start); now >= set && now < set+time.Minute {
			w.Set(3 * time.Minute)
			s = clock.NewSource(w, clock.Options{}) // which is what a Source with the machine's own clock does by itself
		}
		if now := w.Truth.Sub(start); now > 10*time.Minute && now < set || now > set+15*time.Minute {
			out, back := w.RoundTrip()
			s.Observe(w.Ask(server, out, back))
		}
		_, offset := s.Read(host)
		e := s.Estimate(host)
		all = append(all, reading{w.Truth.Sub(start), -w.Off(), offset, e.Low, e.High, e.Samples > 0})
		w.Pass(time.Minute)
	}
	return all, set
}

// The plane of the drawing.
const (
	width, height            = 760, 300
	left, right, top, bottom = 64, 16, 40, 44
	hours                    = 3
	most, least              = 8, -4 // minutes
)

func x(at time.Duration) float64 {
	return left + (width-left-right)*at.Hours()/hours
}

func y(offset time.Duration) float64 {
	return top + (height-top-bottom)*(most-offset.Minutes())/(most-least)
}

func draw() []byte {
	all, set := scene()
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="13">`, width, height, width, height)
	p(`<title id="title">What a clock.Source believes, against the truth</title>`)
	p(`<desc id="desc">A machine is 7 minutes behind. Nothing is corrected until its second answer, and from then on the correction follows the truth to within a second. After 90 minutes somebody sets the machine's clock 3 minutes too far: what was learned is forgotten at once, and learned anew from the next two answers.</desc>`)
	p(`<rect width="%d" height="%d" rx="8" fill="#ffffff" stroke="#d0d7de"/>`, width, height)
	for m := least; m <= most; m += 2 {
		at := y(time.Duration(m) * time.Minute)
		p(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#d8dee4"/><text x="%d" y="%.1f" text-anchor="end" fill="#57606a">%d min</text>`, left, width-right, at, at, left-8, at+4, m)
	}
	for h := 0.0; h <= hours; h += 0.5 {
		at := x(time.Duration(h * float64(time.Hour)))
		p(`<text x="%.1f" y="%d" text-anchor="middle" fill="#57606a">%g h</text>`, at, height-bottom+20, h)
	}
	p(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#57606a" stroke-dasharray="4 4"/><text x="%.1f" y="%.1f" fill="#57606a">the clock is set</text>`, x(set), x(set), top, height-bottom, x(set)+6, y(time.Minute)+4)

	// The truth, broken where the clock was set.
	path := ""
	for i, r := range all {
		verb := "L"
		if i == 0 || r.at >= set && all[i-1].at < set {
			verb = "M"
		}
		path += fmt.Sprintf("%s%.1f %.1f", verb, x(r.at), y(r.truth))
	}
	p(`<path d="%s" fill="none" stroke="#9a6700" stroke-width="7" stroke-opacity="0.4"/>`, path)
	path = ""
	for i, r := range all {
		if i > 0 {
			path += fmt.Sprintf("H%.1fV%.1f", x(r.at), y(r.offset))
		} else {
			path = fmt.Sprintf("M%.1f %.1f", x(r.at), y(r.offset))
		}
	}
	p(`<path d="%s" fill="none" stroke="#0550ae" stroke-width="2"/>`, path)
	p(`<g><line x1="%d" x2="%d" y1="22" y2="22" stroke="#9a6700" stroke-width="7" stroke-opacity="0.4"/><text x="%d" y="26" fill="#1f2328">true time minus the machine's</text>`, left, left+28, left+36)
	p(`<line x1="%d" x2="%d" y1="22" y2="22" stroke="#0550ae" stroke-width="2"/><text x="%d" y="26" fill="#1f2328">correction in force</text></g>`, left+250, left+278, left+286)
	inset(&b, all)
	p(`</svg>`)
	return b.Bytes()
}

// inset shows the first answers in seconds: the bounds close in on the truth.
func inset(b *bytes.Buffer, all []reading) {
	const (
		l, t, w, h = 500, 58, 236, 108
		from       = 10 * time.Minute
		span       = 30 * time.Minute
		most       = 1500 * time.Millisecond
	)
	px := func(at time.Duration) float64 { return l + w*float64(at-from)/float64(span) }
	py := func(d time.Duration) float64 { return t + h/2 - h/2*d.Seconds()/most.Seconds() }
	upper, lower, line := "", "", ""
	for _, r := range all {
		if !r.known || r.at < from || r.at > from+span {
			continue
		}
		upper += fmt.Sprintf("%.1f,%.1f ", px(r.at), py(min(r.high-r.truth, most)))
		lower = fmt.Sprintf("%.1f,%.1f ", px(r.at), py(max(r.low-r.truth, -most))) + lower
		line += fmt.Sprintf("%.1f,%.1f ", px(r.at), py(r.offset-r.truth))
	}
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#f6f8fa" stroke="#d0d7de"/>`+"\n", l, t, w, h)
	fmt.Fprintf(b, `<polygon points="%s%s" fill="#0550ae" fill-opacity="0.18"/>`+"\n", upper, lower)
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#9a6700" stroke-width="3" stroke-opacity="0.45"/>`+"\n", l, l+w, py(0), py(0))
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#0550ae" stroke-width="2"/>`+"\n", line)
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#57606a" font-size="11">its first half hour and bounds, ±%.1f s</text>`+"\n", l+6, t+h-6, most.Seconds())
}
