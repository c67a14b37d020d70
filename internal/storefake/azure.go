package storefake

import (
	"context"
	"crypto/md5"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/internal/pipeline"
	"github.com/cloudsigner/cloudsigner/signer"
)

// azureDialect is what Azure Blob Storage says to Put, Get and Delete Blob, to Put Block, Put Block List and Get Block List, to
// List Blobs and to a question for the container. Whatever else a request asks for is NotImplemented, never passed over. The
// account stands in the path, as with Azurite.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-rest-api
type azureDialect struct {
	store *Store

	mu     sync.Mutex
	staged map[string]map[string]content // uncommitted blocks by their ids, by the names of their blobs; reserved in the store
	blocks int                           // of all
}

func newAzure(store *Store) (*azureDialect, error) {
	d := &azureDialect{store: store, staged: make(map[string]map[string]content)}
	_, err := d.verifier("127.0.0.1")
	return d, err
}

// verifier is for requests that came to this host, which may be signed with srh.
func (d *azureDialect) verifier(host string) (signer.Verifier, error) {
	s := d.store
	return azure.NewVerifier(azure.VerifierConfig{
		Account:    s.AzureAccount,
		Endpoint:   &url.URL{Scheme: "http", Host: host},
		Addressing: signer.AddressingPath,
		Clock:      s.Clock,
		AccountKeys: func(context.Context) ([]signer.Secret, error) {
			return []signer.Secret{s.AzureKey.Secret()}, nil
		},
		DelegationKey: func(_ context.Context, k azure.UserDelegationKey) (signer.Secret, error) {
			if delegationFields(k) != delegationFields(s.AzureDelegation) {
				return signer.Secret{}, signer.ErrUnknownKey
			}
			return s.AzureDelegation.Value, nil
		},
	})
}

// delegationFields is all of a user delegation key but the key itself.
func delegationFields(k azure.UserDelegationKey) [7]string {
	return [...]string{k.SignedOID, k.SignedTID, k.SignedStart, k.SignedExpiry, k.SignedService, k.SignedVersion, k.SignedDelegatedUserTID}
}

func (d *azureDialect) Verify(ctx context.Context, r *http.Request) (*signer.Grant, error) {
	v, err := d.verifier(r.Host)
	if err != nil {
		return nil, err
	}
	return v.Verify(ctx, r)
}

// operations come with the more particular ones first.
func (d *azureDialect) operations() []operation {
	describing := []string{"x-ms-blob-content-type", "x-ms-blob-content-encoding", "x-ms-blob-content-language", "x-ms-blob-content-disposition",
		"x-ms-blob-cache-control", "x-ms-meta-"}
	overrides := []string{"rscc", "rscd", "rsce", "rscl", "rsct"}
	list := []operation{
		{do: d.putBlock, method: "PUT", by: []string{"comp", "blockid"}},
		{do: d.putBlockList, method: "PUT", by: []string{"comp"}, headers: describing},
		{do: d.put, method: "PUT", headers: append([]string{"x-ms-blob-type", "x-ms-blob-content-md5"}, describing...)},
		{do: d.getBlockList, method: "GET", by: []string{"comp"}, params: []string{"blocklisttype"}},
		{do: d.get, method: "GET", params: overrides, headers: []string{"x-ms-range"}},
		{do: d.get, method: "HEAD", params: overrides, headers: []string{"x-ms-range"}},
		{do: d.delete, method: "DELETE", headers: []string{"x-ms-delete-snapshots"}},

		{do: d.list, method: "GET", bucket: true, by: []string{"restype", "comp"}, params: []string{"prefix", "delimiter", "marker", "maxresults"}},
		{do: d.container, method: "GET", bucket: true, by: []string{"restype"}},
		{do: d.container, method: "HEAD", bucket: true, by: []string{"restype"}},
	}
	for i := range list {
		list[i].params = append(list[i].params, "timeout") // nothing takes that long here
	}
	return list
}

func (d *azureDialect) addressed(r *http.Request) bool {
	return mentions(r, "x-ms-") || strings.HasPrefix(r.URL.Path, "/"+d.store.AzureAccount+"/")
}

func (d *azureDialect) unsigned(w http.ResponseWriter, r *http.Request, err error) error { return err }

func (d *azureDialect) serve(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	d.greet(w, r)
	if err := d.store.place(g); err != nil {
		return err
	}
	asked := *g
	asked.Query = azureParams(r, g)
	for name, known := range map[string][]string{"comp": {"block", "blocklist", "list"}, "restype": {"container"}} {
		if value := asked.Query.Get(name); asked.Query.Has(name) && !slices.Contains(known, value) {
			return notImplemented{param: name}
		}
	}
	switch comp := asked.Query.Get("comp"); {
	case asked.Query.Has("blockid") != (comp == "block"),
		comp == "list" != (g.Key == "" && comp != ""),
		comp == "blocklist" && g.Method != http.MethodPut && g.Method != http.MethodGet:
		return notImplemented{param: "comp"}
	}
	signature := []string{"x-ms-date", "x-ms-version", "x-ms-client-request-id", "x-ms-return-client-request-id"}
	return perform(d.operations(), signature, w, r, &asked)
}

// azureParams are the parameters of a request but those of its signature. A SAS signs few, and leaves the others to whoever has it. The
// overrides are among those of the signature.
func azureParams(r *http.Request, g *signer.Grant) url.Values {
	params := r.URL.Query()
	for name := range params {
		if pipeline.SchemeOf(name) == "Azure SAS" {
			delete(params, name)
		}
	}
	for name, values := range g.Query {
		params[name] = values
	}
	return params
}

// greet sets what all answers have.
func (d *azureDialect) greet(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	requestID(w, "X-Ms-Request-Id")
	version := r.Header.Get("X-Ms-Version")
	if version == "" {
		version = r.URL.Query().Get("sv")
	}
	if _, err := time.Parse(time.DateOnly, version); err == nil {
		h.Set("X-Ms-Version", version)
	}
	if id := r.Header.Get("X-Ms-Client-Request-Id"); id != "" && len(id) <= 1024 {
		h.Set("X-Ms-Client-Request-Id", id)
	}
}

// azureCondition reads the condition of an operation that writes. Who may create, and no more, overwrites nothing.
func azureCondition(r *http.Request, g *signer.Grant) (cond condition, creates bool, err error) {
	cond, err = writeCondition(r, "If-Match", "If-None-Match")
	creates = g.Permissions != "" && !strings.Contains(g.Permissions, "w")
	return cond, creates, err
}

// put is Put Blob.
func (d *azureDialect) put(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	switch kind := r.Header.Get("X-Ms-Blob-Type"); kind {
	case "BlockBlob":
	case "":
		return missingHeader("x-ms-blob-type")
	case "PageBlob", "AppendBlob":
		return notImplemented{header: "x-ms-blob-type"}
	default:
		return badArgument{"x-ms-blob-type", kind, "It is none of BlockBlob, PageBlob and AppendBlob."}
	}
	header, err := azureHeader(r.Header, true)
	if err != nil {
		return err
	}
	data, release, err := d.store.body(w, r, g, checkAzureMD5)
	if err != nil {
		return err
	}
	obj := newObject(g.Key, data, header, d.store.Clock.Now())
	return d.save(w, r, g, obj, release)
}

// save stores a blob, which takes its uncommitted blocks away.
func (d *azureDialect) save(w http.ResponseWriter, r *http.Request, g *signer.Grant, obj *object, release func()) error {
	cond, creates, err := azureCondition(r, g)
	if err != nil {
		release()
		return err
	}
	fresh := cond.fresh
	cond.fresh = fresh || creates
	if err := d.store.save(obj, cond, release); err != nil {
		if err == failed("If-None-Match") && !fresh {
			return errOverwrite
		}
		return err
	}
	d.discard(obj.key)
	h := w.Header()
	h.Set("ETag", obj.etag)
	h.Set("Last-Modified", obj.modified.UTC().Format(http.TimeFormat))
	h.Set("X-Ms-Request-Server-Encrypted", "true")
	if obj.blockIDs == nil {
		h.Set("Content-Md5", md5Of(obj.data))
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// azureHeader picks what is kept of an upload's headers. Those of the request itself count for a blob that is its body.
func azureHeader(in http.Header, whole bool) (http.Header, error) {
	described := make(http.Header)
	for name, values := range in {
		lower := strings.ToLower(name)
		if user, ok := strings.CutPrefix(lower, "x-ms-blob-"); ok && user != "type" && user != "content-md5" {
			described[http.CanonicalHeaderKey(user)] = values
		}
	}
	for name, values := range in {
		meta := strings.HasPrefix(strings.ToLower(name), "x-ms-meta-")
		if described[name] == nil && (meta || whole && name != "Content-Disposition") {
			described[name] = values
		}
	}
	return storedHeader(described, "x-ms-", "application/octet-stream", 8<<10)
}

// checkAzureMD5 holds a body to both headers that can name its MD5.
func checkAzureMD5(h http.Header, body content) error {
	if err := checkMD5(h, body); err != nil {
		return err
	}
	return checkMD5(http.Header{"Content-Md5": h.Values("X-Ms-Blob-Content-Md5")}, body)
}

func md5Of(data content) string {
	sum := md5.New()
	add(sum, data)
	return encodeSum(sum)
}

// get is Get Blob and Get Blob Properties.
func (d *azureDialect) get(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	obj, err := d.store.open(g.Key)
	if err != nil {
		return err
	}
	if asked := r.Header.Get("X-Ms-Range"); asked != "" { // counts before Range
		r.Header.Set("Range", asked)
	}
	shown := obj.shown("x-ms-")
	h := shown.header
	h.Set("X-Ms-Blob-Type", "BlockBlob")
	h.Set("X-Ms-Server-Encrypted", "true")
	if obj.blockIDs == nil && r.Header.Get("Range") == "" {
		h.Set("Content-Md5", md5Of(obj.data))
	}
	for param, name := range map[string]string{"rscc": "Cache-Control", "rscd": "Content-Disposition", "rsce": "Content-Encoding",
		"rscl": "Content-Language", "rsct": "Content-Type"} {
		if g.Query.Has(param) {
			h.Set(name, g.Query.Get(param))
		}
	}
	return shown.send(w, r)
}

// delete is Delete Blob. There are no snapshots, so that those who want them to go too get their way.
func (d *azureDialect) delete(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	if value := r.Header.Get("X-Ms-Delete-Snapshots"); value != "" && value != "include" {
		return notImplemented{header: "x-ms-delete-snapshots"}
	}
	cond, err := writeCondition(r, "If-Match")
	if err != nil {
		return err
	}
	if err := d.store.objects.remove(g.Key, cond); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// container is Get Container Properties.
func (d *azureDialect) container(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	w.WriteHeader(http.StatusOK)
	return nil
}
