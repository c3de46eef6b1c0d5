// One static program for the cluster tests: without arguments it waits for SIGTERM (the content of
// every test image, the pause image too), `dns` answers names, `push` builds an image and pushes it.
// So that the tests of a whole node need nothing of the machine but a shell and the network tools.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	arguments := os.Args[1:]
	switch {
	case len(arguments) > 1 && arguments[0] == "dns":
		check(dns(arguments[1], arguments[2:]))
	case len(arguments) > 4 && arguments[0] == "push":
		check(push(arguments[1:]))
	default:
		fmt.Println("app is up", arguments)
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
		<-ended
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// dns ADDRESS NAME=IPV4...: A records of the names given, NXDOMAIN for all else.
func dns(address string, names []string) error {
	known := map[string]net.IP{}
	for _, pair := range names {
		name, ip, _ := strings.Cut(pair, "=")
		known[strings.ToLower(name)] = net.ParseIP(ip).To4()
	}
	socket, err := net.ListenPacket("udp4", address+":53")
	if err != nil {
		return err
	}
	packet := make([]byte, 1500)
	for {
		n, peer, err := socket.ReadFrom(packet)
		if err != nil {
			return err
		}
		if answer := answer(packet[:n], known); answer != nil {
			socket.WriteTo(answer, peer)
		}
	}
}

func answer(query []byte, known map[string]net.IP) []byte {
	var labels []string
	at := 12
	for at < len(query) && query[at] != 0 {
		end := at + 1 + int(query[at])
		if end >= len(query) {
			return nil
		}
		labels = append(labels, string(query[at+1:end]))
		at = end
	}
	if at+5 > len(query) {
		return nil
	}
	ip, found := known[strings.ToLower(strings.Join(labels, "."))]
	isA := query[at+1] == 0 && query[at+2] == 1
	flags, count := byte(0x80), byte(0)
	if !found {
		flags = 0x83 // NXDOMAIN
	} else if isA {
		count = 1
	}
	out := append([]byte{query[0], query[1], 0x85, flags, 0, 1, 0, count, 0, 0, 0, 0}, query[12:at+5]...)
	if count == 1 {
		out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4)
		out = append(out, ip...)
	}
	return out
}

const oci = "application/vnd.oci.image."

type descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int       `json:"size"`
	Platform  *platform `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// A repository to push to.
type target struct{ registry, repository, login string }

// push [USER:PASSWORD@]REGISTRY REPOSITORY TAG ARCHITECTURE=PROGRAM... [--index]: each program becomes a
// one-layer image that runs it (as /app). Several, or --index, make an index. Prints the reference
// with its digest.
func push(arguments []string) error {
	to := target{registry: arguments[0], repository: arguments[1]}
	if at := strings.LastIndex(to.registry, "@"); at >= 0 {
		to.login, to.registry = to.registry[:at], to.registry[at+1:]
	}
	tag, index := arguments[2], false
	var programs []string
	for _, argument := range arguments[3:] {
		if argument == "--index" {
			index = true
		} else {
			programs = append(programs, argument)
		}
	}
	index = index || len(programs) > 1
	var manifests []descriptor
	for _, pair := range programs {
		architecture, program, _ := strings.Cut(pair, "=")
		manifest, err := to.image(architecture, program, tag)
		if err != nil {
			return err
		}
		name := tag
		if index {
			name = digest(manifest)
		}
		if err := to.manifest(name, oci+"manifest.v1+json", manifest); err != nil {
			return err
		}
		manifests = append(manifests, descriptor{oci + "manifest.v1+json", digest(manifest), len(manifest),
			&platform{architecture, "linux"}})
	}
	pushed := manifests[0].Digest
	if index {
		body, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": manifests})
		if err := to.manifest(tag, oci+"index.v1+json", body); err != nil {
			return err
		}
		pushed = digest(body)
	}
	fmt.Printf("%s/%s:%s@%s\n", to.registry, to.repository, tag, pushed)
	return nil
}

func (to target) image(architecture, program, tag string) ([]byte, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	writer := tar.NewWriter(&layer)
	writer.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(content))})
	writer.Write(content)
	writer.Close()
	var packed bytes.Buffer
	gz, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	gz.Write(layer.Bytes())
	gz.Close()
	config, _ := json.Marshal(map[string]any{
		"architecture": architecture, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/app"}, "Labels": map[string]string{"tag": tag}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer.Bytes())}},
	})
	for _, blob := range [][]byte{packed.Bytes(), config} {
		if err := to.blob(blob); err != nil {
			return nil, err
		}
	}
	return json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
		"config": descriptor{oci + "config.v1+json", digest(config), len(config), nil},
		"layers": []descriptor{{oci + "layer.v1.tar+gzip", digest(packed.Bytes()), packed.Len(), nil}},
	})
}

func (to target) blob(content []byte) error {
	header, err := to.send("POST", "http://"+to.registry+"/v2/"+to.repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	place := header.Get("Location")
	separator := "?"
	if strings.Contains(place, "?") {
		separator = "&"
	}
	_, err = to.send("PUT", place+separator+"digest="+digest(content), "application/octet-stream", content)
	return err
}

func (to target) manifest(name, kind string, body []byte) error {
	_, err := to.send("PUT", "http://"+to.registry+"/v2/"+to.repository+"/manifests/"+name, kind, body)
	return err
}

func (to target) send(method, url, kind string, body []byte) (http.Header, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", kind)
	if user, password, found := strings.Cut(to.login, ":"); found {
		request.SetBasicAuth(user, password)
	}
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return nil, fmt.Errorf("%s %s: %s: %s", method, url, response.Status, text)
	}
	return response.Header, nil
}

func digest(content []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(content))
}
