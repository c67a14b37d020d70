package sigv4

// A Frame is what signatures share that differ in nothing but a name, an object's: what is signed before the name and behind it, and
// the query of the URL. A Scratch keeps the last one, so that a service which signs many URLs in a second puts it together once. An
// ID holds all that the frame follows from, and so it never serves another.
type Frame[ID comparable] struct {
	of          ID
	front, back []byte
	query       []byte // as far as the equals sign of the signature, or what stands before that
}

// FrameIn returns the frame that w keeps.
func FrameIn[ID comparable](w *Scratch) *Frame[ID] {
	f, ok := w.kept.(*Frame[ID])
	if !ok {
		f = &Frame[ID]{front: make([]byte, 0, 128), back: make([]byte, 0, 256), query: make([]byte, 0, 256)} // grown only for what is long
		w.kept = f
	}
	return f
}

// Fits reports whether f is the frame of id.
func (f *Frame[ID]) Fits(id ID) bool { return f.of == id && len(f.query) > 0 }

// Keep makes f the frame of id, out of a text that is signed with the name from one place to another.
func (f *Frame[ID]) Keep(id ID, signed []byte, from, to int, query []byte) {
	f.of = id
	f.front = append(f.front[:0], signed[:from]...)
	f.back = append(f.back[:0], signed[to:]...)
	f.query = append(f.query[:0], query...)
}

// AppendSigned appends what is signed with the name, as it is signed.
func AppendSigned[ID comparable, Name string | []byte](dst []byte, f *Frame[ID], name Name) []byte {
	return append(append(append(dst, f.front...), name...), f.back...)
}

// AppendQuery appends the query.
func (f *Frame[ID]) AppendQuery(dst []byte) []byte { return append(dst, f.query...) }
