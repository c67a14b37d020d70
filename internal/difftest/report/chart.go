package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// The colours are readable on the white card, and told apart by those who do not see red.
const (
	ink, line = "#24292f", "#d8dee4"
	floorInk  = "#8c959f"
	oursInk   = "#0550ae"
	appendInk = "#54aeff"
	peerInk   = "#bf8700"
)

// A canvas collects the shapes of an SVG.
type canvas struct{ bytes.Buffer }

func newCanvas(width, height int, title string) *canvas {
	c := new(canvas)
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, sans-serif" font-size="11" fill="%s">`+"\n",
		width, height, width, height, ink)
	fmt.Fprintf(c, "<title>%s</title>\n"+`<rect width="%d" height="%d" rx="6" fill="#ffffff"/>`+"\n", html.EscapeString(title), width, height)
	return c
}

func (c *canvas) text(x, y float64, anchor, s string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
}

func (c *canvas) rule(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
}

func (c *canvas) end() []byte {
	c.WriteString("</svg>\n")
	return c.Bytes()
}

// A scale maps values to places, by their logarithms.
type scale struct{ low, high, from, to float64 }

func (s scale) at(v float64) float64 {
	return s.from + (s.to-s.from)*(math.Log(v)-math.Log(s.low))/(math.Log(s.high)-math.Log(s.low))
}

// bars draws floor, ours and peers for each job, on a scale of logarithms.
func (all results) bars() []byte {
	const width, left, right, bar, top = 900, 250, 70, 14, 46
	type row struct {
		label, bench, colour string
	}
	var rows []row
	for _, j := range jobs() {
		if len(j.peers) == 0 {
			continue
		}
		rows = append(rows, row{j.name, "", ""}, row{"floor", j.floor, floorInk})
		if j.appended != "" {
			rows = append(rows, row{"AppendURL", j.appended, appendInk})
		}
		rows = append(rows, row{"Presign", j.presign, oursInk})
		for _, p := range j.peers {
			rows = append(rows, row{p.name, p.bench, peerInk})
		}
	}
	height := top + len(rows)*bar + 16
	c := newCanvas(width, height, "Time for one URL: floor, ours, peers")
	x := scale{200, 4e6, left, width - right}
	c.text(left, 18, "start", "Time for one URL, on a scale of logarithms: grey the floor, blue ours, ochre the peers")
	for _, tick := range []float64{1e3, 1e4, 1e5, 1e6} {
		c.rule(x.at(tick), top-8, x.at(tick), float64(height-12), line)
		c.text(x.at(tick), top-12, "middle", map[float64]string{1e3: "1 us", 1e4: "10 us", 1e5: "100 us", 1e6: "1 ms"}[tick])
	}
	for i, r := range rows {
		y := float64(top + i*bar)
		if r.bench == "" {
			fmt.Fprintf(c, `<text x="%d" y="%.1f" font-weight="600">%s</text>`+"\n", 12, y+11, html.EscapeString(r.label))
			continue
		}
		v := all.ns(r.bench)
		c.text(left-8, y+10, "end", r.label)
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", x.from, y+1, x.at(v)-x.from, bar-3, r.colour)
		c.text(x.at(v)+5, y+10, "start", duration(v))
	}
	return c.end()
}

// lines draws one panel for each thing that grows.
func (all results) lines() []byte {
	const width, panel, height, gap, top, bottom = 1080, 184, 300, 30, 44, 262
	colours := map[string]string{"s3": "#0550ae", "gcs": "#bf8700", "oss": "#8250df", "azure": "#54aeff", "cdn": "#57606a"}
	c := newCanvas(width, height, "Time for one URL as a request grows")
	y := scale{400, 200_000, bottom, top}
	for i, g := range growths() {
		curves := all.curves(g.bench)
		left := float64(44 + i*(panel+gap-8))
		last := curves[0].points[len(curves[0].points)-1].n
		x := scale{1, float64(last), left, left + panel - 20}
		for _, tick := range []float64{1e3, 1e4, 1e5} {
			c.rule(left, y.at(tick), left+panel-20, y.at(tick), line)
			if i == 0 {
				c.text(left-5, y.at(tick)+4, "end", map[float64]string{1e3: "1 us", 1e4: "10 us", 1e5: "100 us"}[tick])
			}
		}
		c.text(left, top-14, "start", g.what)
		c.text(left, bottom+16, "start", "1")
		c.text(left+panel-20, bottom+16, "end", fmt.Sprint(last))
		for _, curve := range curves {
			fmt.Fprintf(c, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colours[curve.scheme])
			for _, p := range curve.points {
				fmt.Fprintf(c, "%.1f,%.1f ", x.at(max(float64(p.n), 1)), y.at(p.ns))
			}
			fmt.Fprint(c, `"/>`+"\n")
		}
	}
	for i, scheme := range schemes() {
		x := float64(44 + i*70)
		c.rule(x, height-10, x+18, height-10, colours[scheme])
		c.text(x+23, height-6, "start", scheme)
	}
	return c.end()
}
