package storefake

import (
	"encoding/base64"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/wire"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file is the upload of a blob in blocks, and the list of blobs.
//
// https://learn.microsoft.com/en-us/rest/api/storageservices/put-block

// putBlock is Put Block.
func (d *azureDialect) putBlock(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	if _, err := writeCondition(r); err != nil {
		return err
	}
	id := g.Query.Get("blockid")
	if raw, err := base64.StdEncoding.DecodeString(id); err != nil || len(raw) == 0 || len(raw) > 64 {
		return badArgument{"blockid", id, "It must be the base64 of 1 to 64 bytes."}
	}
	data, release, err := d.store.body(w, r, g, checkMD5)
	if err != nil {
		return err
	}
	if err := d.stage(g.Key, id, data); err != nil {
		release()
		return err
	}
	w.Header().Set("Content-Md5", md5Of(data))
	w.Header().Set("X-Ms-Request-Server-Encrypted", "true")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// stage keeps a block until its blob is committed. The ids of all blocks of a blob have the same length.
func (d *azureDialect) stage(key, id string, data content) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	blocks := d.staged[key]
	for other := range blocks {
		if len(other) != len(id) {
			return errBlockID
		}
	}
	old, again := blocks[id]
	switch {
	case again:
		d.store.objects.release(old.Size())
	case blocks == nil && len(d.staged) >= d.store.objects.maxUploads, d.blocks >= maxParts:
		return errFull
	default:
		d.blocks++
	}
	if blocks == nil {
		blocks = make(map[string]content)
		d.staged[key] = blocks
	}
	blocks[id] = data
	return nil
}

// discard forgets the uncommitted blocks of a blob.
func (d *azureDialect) discard(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, data := range d.staged[key] {
		d.store.objects.release(data.Size())
	}
	d.blocks -= len(d.staged[key])
	delete(d.staged, key)
}

// A blockList is the request of Put Block List. Each element is the name of a place where the block is looked for.
type blockList struct {
	XMLName xml.Name `xml:"BlockList"`
	Blocks  []struct {
		XMLName xml.Name
		ID      string `xml:",chardata"`
	} `xml:",any"`
}

// putBlockList is Put Block List.
func (d *azureDialect) putBlockList(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	header, err := azureHeader(r.Header, false)
	if err != nil {
		return err
	}
	var list blockList
	if err := d.store.readXML(w, r, g, checkMD5, &list); err != nil {
		return err
	}
	data, ids, err := d.collect(g.Key, &list)
	if err != nil {
		return err
	}
	release, err := d.store.objects.reserve(data.Size()) // until the blocks are gone they are there twice
	if err != nil {
		return err
	}
	obj := newObject(g.Key, data, header, d.store.Clock.Now())
	obj.blockIDs, obj.ends = ids, data.ends
	return d.save(w, r, g, obj, release)
}

// collect puts the blocks of a list together.
func (d *azureDialect) collect(key string, list *blockList) (data *joined, ids []string, err error) {
	committed := make(map[string]content)
	if obj, err := d.store.open(key); err == nil {
		start := int64(0)
		for i, id := range obj.blockIDs {
			committed[id] = io.NewSectionReader(obj.data, start, obj.ends[i]-start)
			start = obj.ends[i]
		}
	}
	data, ids = new(joined), []string{} // a blob of no blocks is one of blocks too
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range list.Blocks {
		id := strings.TrimSpace(b.ID)
		block, found := d.staged[key][id]
		switch where := b.XMLName.Local; where {
		case "Latest":
			if !found {
				block, found = committed[id]
			}
		case "Uncommitted":
		case "Committed":
			block, found = committed[id]
		default:
			return nil, ids, errXML
		}
		if !found || len(ids) == 50_000 {
			return nil, ids, errBlockList
		}
		data.add(block)
		if data.Size() > d.store.maxObject {
			return nil, ids, tooLarge{data.Size(), d.store.maxObject}
		}
		ids = append(ids, id)
	}
	return data, ids, nil
}

// A listedBlocks is the answer of Get Block List.
type listedBlocks struct {
	XMLName     xml.Name       `xml:"BlockList"`
	Committed   *[]listedBlock `xml:"CommittedBlocks>Block"`
	Uncommitted *[]listedBlock `xml:"UncommittedBlocks>Block"`
}

type listedBlock struct {
	Name string
	Size int64
}

// getBlockList is Get Block List.
func (d *azureDialect) getBlockList(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	kind := g.Query.Get("blocklisttype")
	if kind != "" && kind != "committed" && kind != "uncommitted" && kind != "all" {
		return badArgument{"blocklisttype", kind, "It is none of committed, uncommitted and all."}
	}
	committed, uncommitted := []listedBlock{}, []listedBlock{}
	obj, err := d.store.open(g.Key)
	if err == nil {
		start := int64(0)
		for i, id := range obj.blockIDs {
			committed = append(committed, listedBlock{id, obj.ends[i] - start})
			start = obj.ends[i]
		}
		w.Header().Set("ETag", obj.etag)
		w.Header().Set("Last-Modified", obj.modified.UTC().Format(http.TimeFormat))
		w.Header().Set("X-Ms-Blob-Content-Length", strconv.FormatInt(obj.size(), 10))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(d.staged[g.Key])) {
		uncommitted = append(uncommitted, listedBlock{id, d.staged[g.Key][id].Size()})
	}
	if err != nil && len(uncommitted) == 0 {
		return err
	}
	var answer listedBlocks
	if kind != "uncommitted" {
		answer.Committed = &committed
	}
	if kind == "uncommitted" || kind == "all" {
		answer.Uncommitted = &uncommitted
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// An enumeration is the answer of List Blobs.
type enumeration struct {
	XMLName    xml.Name `xml:"EnumerationResults"`
	Endpoint   string   `xml:"ServiceEndpoint,attr"`
	Container  string   `xml:"ContainerName,attr"`
	Prefix     string   `xml:",omitempty"`
	Marker     string   `xml:",omitempty"`
	MaxResults int      `xml:",omitempty"`
	Delimiter  string   `xml:",omitempty"`
	Blobs      struct {
		Blob       []listedBlob
		BlobPrefix []listedName
	}
	NextMarker string
}

type listedBlob struct {
	Name       blobName
	Properties struct {
		LastModified  string `xml:"Last-Modified"`
		Etag          string
		ContentLength int64  `xml:"Content-Length"`
		ContentType   string `xml:"Content-Type"`
		BlobType      string
	}
}

type listedName struct{ Name blobName }

// A blobName is percent-encoded, and says so, where XML cannot hold it.
type blobName struct {
	Encoded bool   `xml:",attr,omitempty"`
	Text    string `xml:",chardata"`
}

func nameOf(key string) blobName {
	for _, r := range key {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return blobName{true, string(wire.AppendEscapePath(nil, key))}
		}
	}
	return blobName{Text: key}
}

// list is List Blobs.
func (d *azureDialect) list(w http.ResponseWriter, r *http.Request, g *signer.Grant) error {
	const most = 5000
	q := g.Query
	n, err := count(q, "maxresults", most)
	if err != nil || n == 0 {
		return badArgument{"maxresults", q.Get("maxresults"), "It must be a number from 1 on."}
	}
	marker, err := base64.RawURLEncoding.DecodeString(q.Get("marker"))
	if err != nil {
		return badArgument{"marker", q.Get("marker"), "It is not what a list ended with."}
	}
	p := d.store.objects.list(q.Get("prefix"), q.Get("delimiter"), "", string(marker), min(n, most))
	answer := enumeration{Endpoint: "http://" + r.Host + "/" + d.store.AzureAccount + "/", Container: g.Bucket,
		Prefix: q.Get("prefix"), Marker: q.Get("marker"), Delimiter: q.Get("delimiter")}
	if q.Has("maxresults") {
		answer.MaxResults = n
	}
	for _, o := range p.objects {
		b := listedBlob{Name: nameOf(o.key)}
		b.Properties.LastModified = o.modified.UTC().Format(http.TimeFormat)
		b.Properties.Etag = strings.Trim(o.etag, `"`)
		b.Properties.ContentLength = o.size()
		b.Properties.ContentType = o.header.Get("Content-Type")
		b.Properties.BlobType = "BlockBlob"
		answer.Blobs.Blob = append(answer.Blobs.Blob, b)
	}
	for _, prefix := range p.prefixes {
		answer.Blobs.BlobPrefix = append(answer.Blobs.BlobPrefix, listedName{nameOf(prefix)})
	}
	if p.last != "" {
		answer.NextMarker = base64.RawURLEncoding.EncodeToString([]byte(p.last))
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}
