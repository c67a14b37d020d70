package e2e

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
	parted "github.com/cloudsigner/cloudsigner/signer/upload"
)

// TestUploadSteps takes the steps of package upload at versitygw and at Azurite.
func TestUploadSteps(t *testing.T) {
	versity, azurite := must(versitygw())(t), plainAzurite(t)
	const partSize = 5 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), 400_000)
	for _, c := range []struct {
		protocol parted.Protocol
		signer   signer.Signer
		client   *http.Client
	}{{parted.S3, versity.signer(t), versity.client}, {parted.Azure, azurite.signer(t), azurite.client}} {
		t.Run(c.protocol.String(), func(t *testing.T) {
			ctx := t.Context()
			u := must(parted.New(parted.Config{Signer: c.signer, Protocol: c.protocol, Key: "steps/ü & <film>.bin", Size: int64(len(data)), PartSize: partSize,
				Header: http.Header{"Content-Type": {"video/x-test"}}, Expires: time.Minute}))(t)
			session := must(must(u.Start(ctx))(t).Do(ctx, c.client))(t)
			stored := func(want int) []parted.Part {
				t.Helper()
				parts := must(u.Stored(ctx, c.client, session))(t)
				if len(parts) != want {
					t.Fatalf("%+v, want %d", parts, want)
				}
				return parts
			}
			put := func(n int, body []byte, want bool, header http.Header) {
				t.Helper()
				resp := must(c.client.Do(must(must(u.Part(ctx, session, n, header))(t).NewRequest(ctx, bytes.NewReader(body)))(t)))(t)
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body)
				if good := resp.StatusCode < 300; good != want {
					t.Fatalf("part %d: %s, %s", n, resp.Status, text)
				}
			}
			stored(0)
			put(2, data[partSize:], true, nil)
			stored(1)
			put(1, data[:100], true, nil) // which is too short
			stored(1)
			sum := md5.Sum(data[:partSize])
			whole := http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}}
			put(1, append(bytes.Clone(data[:partSize-100]), make([]byte, 100)...), false, whole)
			stored(1)
			breakOff(t, must(u.Part(ctx, session, 1, whole))(t), data[:partSize])
			stored(1)
			put(1, data[:partSize], true, whole)
			if etag := must(must(u.Complete(ctx, session, stored(2)))(t).Do(ctx, c.client))(t); etag == "" {
				t.Error("no ETag")
			}
			got := must(c.client.Do(must(must(c.signer.Presign(ctx, signer.Request{Key: "steps/ü & <film>.bin", Expires: time.Minute}))(t).NewRequest(ctx, nil))(t)))(t)
			defer got.Body.Close()
			if body := must(io.ReadAll(got.Body))(t); !bytes.Equal(body, data) || got.Header.Get("Content-Type") != "video/x-test" {
				t.Errorf("%s, %d bytes, %v", got.Status, len(body), got.Header)
			}

			// Given up.
			session = must(must(u.Start(ctx))(t).Do(ctx, c.client))(t)
			put(1, data[:partSize], true, nil)
			abort, err := u.Abort(ctx, session)
			if c.protocol == parted.Azure {
				if !errors.Is(err, signer.ErrUnsupported) {
					t.Errorf("%v", err)
				}
				return
			}
			must(abort.Do(ctx, c.client))(t)
			var e *signer.Error
			if _, err := u.Stored(ctx, c.client, session); !errors.Is(err, parted.ErrRefused) || !errors.As(err, &e) || e.Code != "NoSuchUpload" {
				t.Errorf("%v", err)
			}
		})
	}
}

// breakOff sends half of a body, closes the connection, and waits until the server has noticed.
func breakOff(t *testing.T, p *signer.Presigned, body []byte) {
	t.Helper()
	req := must(p.NewRequest(t.Context(), bytes.NewReader(body)))(t)
	conn := must(net.Dial("tcp4", req.URL.Host))(t)
	defer conn.Close()
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		t.Fatal(err)
	}
	must(conn.Write(wire.Bytes()[:wire.Len()/2]))(t)
	conn.(*net.TCPConn).CloseWrite()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	io.Copy(io.Discard, conn)
}
