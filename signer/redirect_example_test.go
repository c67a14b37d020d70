package signer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
)

// A client with a token for its API is redirected to a signed URL at a subdomain, where net/http would send the token too.
func ExampleCheckRedirect() {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("%s gets Authorization %q\n", r.Host, r.Header.Get("Authorization"))
		if r.Host == "example.com" {
			w.Header().Set("Location", "https://cdn.example.com/cat.jpg?Expires=1795608000&KeyName=key&Signature=c2lnbmF0dXJl")
			w.WriteHeader(http.StatusFound)
		}
	}))
	defer server.Close()

	client := &http.Client{
		CheckRedirect: signer.CheckRedirect,
		Transport:     everyNameLeadsTo(server), // in your code the one that you have
	}
	req, err := http.NewRequest(http.MethodGet, "https://example.com/cat.jpg", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer for-the-api")
	resp, err := client.Do(req)
	if err != nil {
		log.Fatal(signer.RedactError(err)) // the client's error holds the URL
	}
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// example.com gets Authorization "Bearer for-the-api"
	// cdn.example.com gets Authorization ""
	// 200 OK
}

func everyNameLeadsTo(server *httptest.Server) http.RoundTripper {
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: "example.com"},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
}

// A handler that hands out photos signs for the method that it was asked with, and leaves the rest to a Redirector. A
// client that authenticates by header gets the URL as JSON, for it might send that header on with the URL.
func ExampleRedirector() {
	s := exampleSigner()
	redirector := signer.Redirector{OnAuthorization: signer.JSONOnAuthorization, Clock: noon}

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// ... find out who asks, by cookie or by header, and whether they may ...
		p, err := s.Presign(r.Context(), signer.Request{Method: r.Method, Key: "2026/cat.jpg", Expires: 10 * time.Minute})
		if err == nil {
			err = redirector.Redirect(w, r, p)
		}
		switch { // on an error nothing was written yet
		case errors.Is(err, signer.ErrUnsupported):
			http.Error(w, "this photo can be had with GET only", http.StatusMethodNotAllowed)
		case err != nil:
			log.Print(err)
			http.Error(w, "no photo today", http.StatusInternalServerError)
		}
	})

	for _, authorization := range []string{"", "Bearer for-the-api"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "https://api.example.com/cat.jpg", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, slices.Sorted(maps.Keys(w.Header())))
		fmt.Println("Cache-Control:", w.Header().Get("Cache-Control"))
	}
	// Output:
	// 302 [Cache-Control Location Referrer-Policy Vary]
	// Cache-Control: private, max-age=540
	// 200 [Cache-Control Content-Type Vary X-Content-Type-Options]
	// Cache-Control: no-store
}
