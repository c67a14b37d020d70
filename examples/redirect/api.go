package main

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// urlLife is how long a signed URL works.
const urlLife = 10 * time.Minute

// newAPI returns the API. It hands out photos in several ways, to compare: /naive/NAME, /refuse/NAME and so on.
func newAPI(token, session string, cdns map[string]signer.Signer, c clock.Clock) http.Handler {
	refuse := signer.Redirector{Clock: c}
	asJSON := signer.Redirector{Clock: c, OnAuthorization: signer.JSONOnAuthorization}
	anyway := signer.Redirector{Clock: c, OnAuthorization: signer.RedirectAnyway}
	naive := func(w http.ResponseWriter, r *http.Request, p *signer.Presigned) error {
		w.Header().Set("Cache-Control", "private, max-age=3600")
		http.Redirect(w, r, p.URL, http.StatusFound)
		return nil
	}
	mux := http.NewServeMux()
	for way, h := range map[string]handler{
		"naive":     {s: cdns[cdnHost], answer: naive},
		"refuse":    {s: cdns[cdnHost], answer: refuse.Redirect},
		"json":      {s: cdns[cdnHost], answer: asJSON.Redirect},
		"anyway":    {s: cdns[cdnHost], answer: anyway.Redirect},
		"elsewhere": {s: cdns[elsewhereHost], answer: anyway.Redirect},
		"stripping": {s: cdns[strippingHost], answer: anyway.Redirect},
	} {
		h.token, h.session = token, session
		mux.Handle("GET /"+way+"/{name...}", h)
	}
	return mux
}

// A handler answers a user who may have the photo with a signed URL.
type handler struct {
	token, session string
	s              signer.Signer
	answer         func(http.ResponseWriter, *http.Request, *signer.Presigned) error
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.knows(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	p, err := h.s.Presign(r.Context(), signer.Request{Method: r.Method, Key: r.PathValue("name"), Expires: urlLife})
	if err == nil {
		err = h.answer(w, r, p)
	}
	// On an error nothing was written yet, so the answer is ours.
	switch {
	case errors.Is(err, signer.ErrConflict):
		http.Error(w, "you might send Authorization on to the CDN, which fails at times: ask with your session's cookie",
			http.StatusBadRequest)
	case errors.Is(err, signer.ErrUnsupported):
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "with Authorization it is GET only", http.StatusMethodNotAllowed)
	case err != nil:
		http.Error(w, "no photo today", http.StatusInternalServerError)
	}
}

// knows checks who asks, by token or by cookie.
func (h handler) knows(r *http.Request) bool {
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	if cookie, err := r.Cookie("session"); err == nil && same(cookie.Value, h.session) {
		return true
	}
	return same(r.Header.Get("Authorization"), "Bearer "+h.token)
}
