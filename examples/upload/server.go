package main

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cloudsigner/cloudsigner/examples/internal/loopback"
	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/upload"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.js
	script []byte
	//go:embed md5.js
	digest []byte
	//go:embed page.css
	style []byte
)

// A server hands out presigned requests to its page. Of an upload it keeps its session and nothing more.
type server struct {
	options
	origin string
	guard  loopback.Guard
	stores []*store
	page   []byte
	mux    *http.ServeMux
	client *http.Client

	mu      sync.Mutex
	uploads map[string]*running
	order   []string // their ids, the oldest first
}

// A running upload. Whoever knows its id may send its parts.
type running struct {
	*upload.Upload
	store   *store
	key     string
	session signer.Secret
}

// maxUploads is how many are remembered. The oldest is forgotten when there is another; its parts are the store's to clean up.
const maxUploads = 1000

func newServer(address string, o options, stores []*store) (*server, error) {
	s := &server{options: o, origin: "http://" + address, stores: stores, uploads: make(map[string]*running), mux: http.NewServeMux(),
		client: &http.Client{Timeout: 2 * time.Minute}}
	var origins []string
	for _, st := range stores {
		if !slices.Contains(origins, st.origin) {
			origins = append(origins, st.origin)
		}
	}
	var err error
	// Its own script and style sheet, and requests to itself and to the stores; nothing else.
	s.guard, err = loopback.NewGuard(address, "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' "+
		strings.Join(origins, " ")+"; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
	if err != nil {
		return nil, err
	}
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, map[string]any{"Stores": stores, "FormLimit": o.formLimit, "MaxFile": int64(maxFile)}); err != nil {
		return nil, err
	}
	s.page = page.Bytes()
	s.mux.HandleFunc("GET /{$}", s.static("text/html; charset=utf-8", s.page))
	s.mux.HandleFunc("GET /page.js", s.static("text/javascript; charset=utf-8", script))
	s.mux.HandleFunc("GET /md5.js", s.static("text/javascript; charset=utf-8", digest))
	s.mux.HandleFunc("GET /page.css", s.static("text/css; charset=utf-8", style))
	s.mux.Handle("POST /uploads", answering(s.begin))
	s.mux.Handle("GET /uploads/{id}", answering(s.state))
	s.mux.Handle("POST /uploads/{id}/parts/{n}", answering(s.part))
	s.mux.Handle("POST /uploads/{id}/complete", answering(s.complete))
	s.mux.Handle("DELETE /uploads/{id}", answering(s.abort))
	s.mux.Handle("POST /forms", answering(s.form))
	return s, nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.guard.Allow(w, r) {
		return
	}
	if "http://"+r.Host != s.origin && r.Method == http.MethodGet { // localhost: the stores know one origin
		http.Redirect(w, r, s.origin+"/", http.StatusSeeOther)
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *server) static(contentType string, text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Write(text)
	}
}

// A failure is an error in words that a user understands.
type failure struct {
	status int
	words  string
}

func (f failure) Error() string { return f.words }

// answering answers in JSON: with what the handler returns, or with {"error":words}.
func answering(h func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		status := http.StatusOK
		answer, err := h(r)
		var f failure
		var e *signer.Error
		switch {
		case errors.As(err, &f):
			status = f.status
		case errors.As(err, &e) && e.Code == "NoSuchUpload":
			status, err = http.StatusNotFound, errors.New("the store does not know this upload any more; begin again")
		case errors.Is(err, upload.ErrRefused):
			status = http.StatusBadGateway
		case errors.Is(err, signer.ErrRequest), errors.Is(err, signer.ErrUnsupported):
			status = http.StatusBadRequest
		case err != nil:
			status, err = http.StatusBadGateway, errors.New("the store cannot be reached; try again")
		}
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.Encode(answer)
	})
}

// A wish is what the page asks for.
type wish struct {
	Store string `json:"store"`
	Name  string `json:"name"` // of the file
	Size  int64  `json:"size"`
	Type  string `json:"type"`
}

// read reads a wish: the store, and the key under which the file will be. It must come as JSON, which a form of another page
// cannot send.
func (s *server) read(r *http.Request) (w wish, st *store, key string, err error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return w, nil, "", failure{http.StatusUnsupportedMediaType, "send JSON"}
	}
	if err := json.NewDecoder(r.Body).Decode(&w); err != nil {
		return w, nil, "", failure{http.StatusBadRequest, "this is not what the page sends"}
	}
	i := slices.IndexFunc(s.stores, func(st *store) bool { return st.ID == w.Store })
	if i < 0 {
		return w, nil, "", failure{http.StatusBadRequest, "there is no such store"}
	}
	if w.Type == "" || !printable(w.Type) || len(w.Type) > 200 {
		w.Type = "application/octet-stream"
	}
	return w, s.stores[i], "uploads/" + strings.ToLower(rand.Text()[:12]) + "/" + fileName(w.Name), nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// fileName is the name of a file as the end of a key: without directories and control characters, and not too long.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, path.Base(strings.ReplaceAll(name, `\`, "/")))
	for len(name) > 200 { // its end says what it is
		_, first := utf8.DecodeRuneInString(name)
		name = name[first:]
	}
	if strings.Trim(name, "./") == "" {
		return "file"
	}
	return name
}

// begin starts an upload in parts.
func (s *server) begin(r *http.Request) (any, error) {
	w, st, key, err := s.read(r)
	if err != nil {
		return nil, err
	}
	if w.Size > maxFile {
		return nil, failure{http.StatusRequestEntityTooLarge, fmt.Sprintf("the file has %d bytes, and %d are taken", w.Size, int64(maxFile))}
	}
	u, err := upload.New(upload.Config{Signer: st.signer, Protocol: st.protocol, Key: key, Size: w.Size, PartSize: s.partSize,
		Header: http.Header{"Content-Type": {w.Type}}, Origin: s.origin, Expires: s.life})
	if err != nil {
		return nil, err
	}
	start, err := u.Start(r.Context())
	if err != nil {
		return nil, err
	}
	session, err := start.Do(r.Context(), s.client)
	if err != nil {
		return nil, err
	}
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.order) == maxUploads {
		delete(s.uploads, s.order[0])
		s.order = s.order[1:]
	}
	s.uploads[id] = &running{u, st, key, session}
	s.order = append(s.order, id)
	return map[string]any{"id": id, "plan": u.Plan()}, nil
}

// find returns the upload of a request.
func (s *server) find(r *http.Request) (*running, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.uploads[r.PathValue("id")]; u != nil {
		return u, nil
	}
	return nil, failure{http.StatusNotFound, "this upload is not known here any more; begin again"}
}

func (s *server) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, id)
	s.order = slices.DeleteFunc(s.order, func(other string) bool { return other == id })
}

// state tells which parts the store has.
func (s *server) state(r *http.Request) (any, error) {
	u, err := s.find(r)
	if err != nil {
		return nil, err
	}
	parts, err := u.Stored(r.Context(), s.client, u.session)
	if err != nil {
		return nil, err
	}
	have := []int{}
	for _, p := range parts {
		have = append(have, p.Number)
	}
	return map[string]any{"plan": u.Plan(), "have": have}, nil
}

// part signs the request for a part, now, and for these bytes alone: a store that sees half of them must refuse them.
func (s *server) part(r *http.Request) (any, error) {
	u, err := s.find(r)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		return nil, failure{http.StatusBadRequest, "this is no number of a part"}
	}
	var about struct {
		MD5 string `json:"md5"` // as Content-MD5 has it
	}
	if err := json.NewDecoder(r.Body).Decode(&about); err != nil {
		return nil, failure{http.StatusBadRequest, "this is not what the page sends"}
	}
	if sum, err := base64.StdEncoding.DecodeString(about.MD5); err != nil || len(sum) != md5.Size {
		return nil, failure{http.StatusBadRequest, "this is no MD5 in base64"}
	}
	return u.Part(r.Context(), u.session, n, http.Header{"Content-Md5": {about.MD5}})
}

// complete makes the object of the parts that the store has: what the page says of them does not matter.
func (s *server) complete(r *http.Request) (any, error) {
	u, err := s.find(r)
	if err != nil {
		return nil, err
	}
	parts, err := u.Stored(r.Context(), s.client, u.session)
	if err != nil {
		return nil, err
	}
	step, err := u.Complete(r.Context(), u.session, parts)
	if err != nil {
		return nil, failure{http.StatusConflict, "not all parts have arrived"}
	}
	if _, err := step.Do(r.Context(), s.client); err != nil {
		return nil, err
	}
	s.forget(r.PathValue("id"))
	return s.arrived(r, u.store, u.key)
}

// arrived is what the page is told of an object: a URL to get it back.
func (s *server) arrived(r *http.Request, st *store, key string) (any, error) {
	p, err := st.signer.Presign(r.Context(), signer.Request{Method: http.MethodGet, Key: key, Expires: 15 * time.Minute,
		Response: signer.ResponseHeaders{ContentDisposition: signer.Attachment(path.Base(key))}})
	if err != nil {
		return nil, err
	}
	return map[string]string{"key": key, "url": p.URL}, nil
}

// abort gives an upload up.
func (s *server) abort(r *http.Request) (any, error) {
	u, err := s.find(r)
	if err != nil {
		return nil, err
	}
	step, err := u.Abort(r.Context(), u.session)
	if err == nil {
		_, err = step.Do(r.Context(), s.client)
	}
	if err != nil && !errors.Is(err, signer.ErrUnsupported) { // blocks of Azure go by themselves
		return nil, err
	}
	s.forget(r.PathValue("id"))
	return map[string]string{}, nil
}

// form signs a form for one small file.
func (s *server) form(r *http.Request) (any, error) {
	w, st, key, err := s.read(r)
	if err != nil {
		return nil, err
	}
	form, err := signer.PresignPost(r.Context(), st.signer, signer.Policy{Key: key, Expires: s.life, MinBytes: 1, MaxBytes: s.formLimit,
		ContentType: w.Type, Fields: []signer.Field{{Name: "success_action_status", Value: "201"}}})
	if errors.Is(err, signer.ErrUnsupported) {
		return nil, failure{http.StatusBadRequest, "this store takes no forms; send the file in parts"}
	}
	if err != nil {
		return nil, err
	}
	arrived, err := s.arrived(r, st, key)
	if err != nil {
		return nil, err
	}
	return map[string]any{"form": form, "arrived": arrived}, nil
}
