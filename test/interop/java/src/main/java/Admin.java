import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * Admin NAMESRV: the admin tools as a conversation: one command a line on standard input, one line of JSON back for
 * each: {"result": ...} or {"error": "..."}. One process for many questions, since a JVM takes seconds to start here.
 */
public final class Admin {
    private final DefaultMQAdminExt admin = new DefaultMQAdminExt(20_000);

    public static void main(String[] args) throws Exception {
        Admin self = new Admin();
        self.admin.setNamesrvAddr(args[0]);
        self.admin.start();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                answer = "{\"result\":" + self.run(line.split(" ")) + "}";
            } catch (Throwable e) {
                answer = "{\"error\":" + Line.quote(String.valueOf(e)) + "}";
            }
            System.out.println(answer);
        }
        self.admin.shutdown();
        System.exit(0);
    }

    private String run(String[] words) throws Exception {
        switch (words[0]) {
            case "create":
                for (String address : masters()) {
                    int queues = Integer.parseInt(words[2]);
                    admin.createAndUpdateTopicConfig(address, new TopicConfig(words[1], queues, queues, 6));
                }
                return "true";
            case "delete":
                admin.deleteTopicInBroker(masters(), words[1]);
                admin.deleteTopicInNameServer(Set.of(admin.getNamesrvAddr()), words[1]);
                return "true";
            case "create-group":
                for (String address : masters()) {
                    SubscriptionGroupConfig group = new SubscriptionGroupConfig();
                    group.setGroupName(words[1]);
                    admin.createAndUpdateSubscriptionGroupConfig(address, group);
                }
                return "true";
            case "masters":
                return strings(masters());
            case "topics":
                return strings(admin.fetchAllTopicList().getTopicList());
            case "queues": {
                int queues = 0;
                for (QueueData data : admin.examineTopicRouteInfo(words[1]).getQueueDatas()) {
                    queues += data.getWriteQueueNums();
                }
                return String.valueOf(queues);
            }
            case "by-key":
                return messages(admin.queryMessage(words[1], words[2], 32, 0, System.currentTimeMillis() + 60_000)
                    .getMessageList());
            case "by-id": // a unique id, or an offset id
                return messages(List.of(admin.viewMessage(words[1], words[2])));
            case "bounds": {
                MessageQueue queue = queue(words[1], Integer.parseInt(words[2]));
                return "[" + admin.minOffset(queue) + "," + admin.maxOffset(queue) + "]";
            }
            case "search":
                return String.valueOf(admin.searchOffset(queue(words[1], Integer.parseInt(words[2])), Long.parseLong(words[3])));
            default:
                throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    private Set<String> masters() throws Exception {
        ClusterInfo cluster = admin.examineBrokerClusterInfo();
        Set<String> addresses = new TreeSet<>();
        for (BrokerData broker : cluster.getBrokerAddrTable().values()) {
            addresses.add(broker.getBrokerAddrs().get(0L));
        }
        return addresses;
    }

    private MessageQueue queue(String topic, int id) throws Exception {
        String broker = admin.examineTopicRouteInfo(topic).getQueueDatas().get(0).getBrokerName();
        return new MessageQueue(topic, broker, id);
    }

    private static String strings(Iterable<String> values) {
        List<String> quoted = new ArrayList<>();
        values.forEach(value -> quoted.add(Line.quote(value)));
        return quoted.toString();
    }

    private static String messages(List<MessageExt> messages) {
        List<String> lines = new ArrayList<>();
        for (MessageExt message : messages) {
            Map<String, Object> fields = new LinkedHashMap<>(Line.received(message));
            lines.add(Line.json(fields));
        }
        return lines.toString();
    }
}
