package wire

import (
	"bytes"
	"iter"
	"slices"
	"strings"
)

// Pairs iterates over the names and values of a raw query as they stand on the wire, still encoded. Only '&'
// separates; empty parts are passed over, and a part without '=' has an empty value.
func Pairs(rawQuery string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rawQuery != "" {
			var part string
			part, rawQuery, _ = strings.Cut(rawQuery, "&")
			if part == "" {
				continue
			}
			name, value, _ := strings.Cut(part, "=")
			if !yield(name, value) {
				return
			}
		}
	}
}

// Without returns rawQuery without the parts whose decoded name drop accepts; the other bytes stay as they are.
func Without(rawQuery string, drop func(name string) bool) string {
	dropped := func(part string) bool {
		name, _, _ := strings.Cut(part, "=")
		name, err := UnescapeQuery(name)
		return err == nil && drop(name)
	}
	if rawQuery == "" || !slices.ContainsFunc(strings.Split(rawQuery, "&"), dropped) {
		return rawQuery
	}
	return strings.Join(slices.DeleteFunc(strings.Split(rawQuery, "&"), dropped), "&")
}

// A Param is a name and value of a query, in their canonical encoding.
type Param struct{ Name, Value []byte }

// Params collects the parameters of a canonical query. The zero value is empty; Reset makes a used one empty again
// and keeps its memory.
type Params struct {
	List  []Param
	arena []byte // the bytes of List; append may move it, which leaves older slices valid
}

// Reset forgets the parameters.
func (p *Params) Reset() {
	if len(p.List) == 0 {
		return
	}
	clear(p.List)
	p.List, p.arena = p.List[:0], p.arena[:0]
}

// Add adds a decoded parameter.
func (p *Params) Add(name, value string) {
	start := len(p.arena)
	p.arena = AppendEscape(p.arena, name)
	mid := len(p.arena)
	p.arena = AppendEscape(p.arena, value)
	p.keep(start, mid)
}

// Parse adds the parameters of a raw query. It returns ErrEscape for a broken escape.
func (p *Params) Parse(rawQuery string) error {
	for name, value := range Pairs(rawQuery) {
		if err := p.AddRaw(name, value); err != nil {
			return err
		}
	}
	return nil
}

// AddRaw adds a parameter as Pairs gives it. It returns ErrEscape for a broken escape.
func (p *Params) AddRaw(name, value string) (err error) {
	start := len(p.arena)
	if p.arena, err = appendCanonical(p.arena, name, unreserved, ' '); err != nil {
		return err
	}
	mid := len(p.arena)
	if p.arena, err = appendCanonical(p.arena, value, unreserved, ' '); err != nil {
		return err
	}
	p.keep(start, mid)
	return nil
}

func (p *Params) keep(start, mid int) {
	p.List = append(p.List, Param{p.arena[start:mid:mid], p.arena[mid:len(p.arena):len(p.arena)]})
}

// Sort sorts by encoded name, then by encoded value.
func (p *Params) Sort() {
	if len(p.List) < 2 {
		return
	}
	slices.SortFunc(p.List, func(a, b Param) int {
		if c := bytes.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return bytes.Compare(a.Value, b.Value)
	})
}

// SortNames sorts by encoded name and leaves parameters of one name in their order.
func (p *Params) SortNames() {
	if len(p.List) < 2 {
		return
	}
	slices.SortStableFunc(p.List, func(a, b Param) int { return bytes.Compare(a.Name, b.Name) })
}

// AppendParams appends list as name=value joined with '&'. If dst already ends in a parameter, begin it with '&'.
func AppendParams(dst []byte, list []Param) []byte {
	for i, q := range list {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, q.Name...)
		dst = append(dst, '=')
		dst = append(dst, q.Value...)
	}
	return dst
}
