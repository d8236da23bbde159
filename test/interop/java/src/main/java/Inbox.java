import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

import org.apache.rocketmq.common.message.MessageExt;

/** What a consumer was given, in order. */
final class Inbox {
    /** How long a message that must not come is waited for. */
    private static final int QUIET_MS = 1_500;
    private final List<MessageExt> messages = new ArrayList<>();
    private final List<Long> times = new ArrayList<>();

    synchronized void add(List<MessageExt> some) {
        for (MessageExt message : some) {
            messages.add(message);
            times.add(System.currentTimeMillis());
        }
    }

    synchronized List<MessageExt> all() {
        return new ArrayList<>(messages);
    }

    /** When the message with this body came for the first time, in ms. */
    synchronized long timeOf(String body) {
        for (int i = 0; i < messages.size(); i++) {
            if (Lab.body(messages.get(i)).equals(body)) {
                return times.get(i);
            }
        }
        throw new AssertionError("never got " + body);
    }

    List<String> bodies() {
        List<String> bodies = new ArrayList<>();
        all().forEach(message -> bodies.add(Lab.body(message)));
        return bodies;
    }

    int size() {
        return all().size();
    }

    void awaitCount(int count, int seconds) throws Exception {
        Lab.until(seconds, () -> count + " deliveries, got " + bodies(), () -> size() >= count);
    }

    /** Waits until each of these bodies has come; others are an error. */
    void awaitExactly(Set<String> bodies, int seconds) throws Exception {
        Lab.until(seconds, () -> bodies + ", got " + bodies(), () -> bodies().containsAll(bodies));
        Lab.equal(new TreeSet<>(bodies), new TreeSet<>(bodies()), "what came");
    }

    /** As awaitExactly, and nothing more comes for a while. */
    void awaitOnly(Set<String> bodies, int seconds) throws Exception {
        awaitExactly(bodies, seconds);
        Thread.sleep(QUIET_MS);
        Lab.equal(new TreeSet<>(bodies), new TreeSet<>(bodies()), "what came in the end");
    }
}
